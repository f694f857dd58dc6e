"""What holds for every UnrolledGraph: no cycle, a step for every vertex, a group for every arc and copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import networkx as nx

from graphbptt.errors import VerificationError
from graphbptt.ir.folded import Connection, FoldedNetwork, Wire
from graphbptt.ir.unrolled import UnrolledGraph

__all__ = ["verify_unrolled"]


def verify_unrolled(unrolled: UnrolledGraph) -> None:
    """Check the invariants of an unrolled network, at a cost that does not depend on the number of steps.

    Raises
    ------
    VerificationError
        One is broken: a bug in graphbptt, for a network that cannot be unrolled is refused when it is
        declared.
    """
    problems = [*_check_rows(unrolled), *_check_arcs(unrolled), *_check_copies(unrolled)]
    problems += _check_acyclic(unrolled.network)
    if problems:
        raise VerificationError("UnrolledGraph: " + "; ".join(problems))


def _check_rows(unrolled: UnrolledGraph) -> Iterator[str]:
    if list(unrolled.row) != [population.name for population in unrolled.network.populations]:
        yield "its rows are not the populations"
    for row in unrolled.rows:
        if not row.first <= 0 < unrolled.steps <= row.last:
            yield f"row {row.population} does not hold the steps 0 to {unrolled.steps}"
        if len(row.computed) and row.computed.last != unrolled.steps:
            yield f"row {row.population} computes the steps {row.computed}"


def _check_arcs(unrolled: UnrolledGraph) -> Iterator[str]:
    if [bundle.edge for bundle in unrolled.bundles] != list(unrolled.network.edges):
        yield "its bundles are not the edges"
    for bundle in unrolled.bundles:
        edge = bundle.edge
        name = f"{edge.source}[t{-edge.delay:+d}] -> {edge.target}"
        if bundle.steps != unrolled.row[edge.target].computed:
            yield f"bundle {name} arrives at other steps than those computed"
        source = unrolled.row[edge.source]
        if source.first > 1 - edge.delay or source.last < unrolled.steps - edge.delay:
            yield f"bundle {name} leaves from vertices that do not exist"


def _check_copies(unrolled: UnrolledGraph) -> Iterator[str]:
    counted = unrolled.network.count_copies(unrolled.steps)
    held = {group: len(copies) for group, copies in unrolled.groups.items()}
    if held != counted:
        wrong = [group for group in counted | held if counted.get(group) != held.get(group)]
        yield f"the copies of {', '.join(wrong)} are not those of the folded network"


def _check_acyclic(network: FoldedNetwork) -> Iterator[str]:
    """A cycle of the unrolling is a closed walk whose delays add up to zero.

    There is none exactly when, in each strongly connected component, the cycles' total delays are all
    positive or all negative: a positive and a negative one, repeated and joined, make a closed walk of zero.
    """
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_nodes_from(population.name for population in network.populations)
    graph.add_edges_from((edge.source, edge.target) for edge in network.edges)
    component = {
        node: k for k, members in enumerate(nx.strongly_connected_components(graph)) for node in members
    }
    inside: dict[int, list[Connection | Wire]] = {}
    for edge in network.edges:
        if component[edge.source] == component[edge.target]:
            inside.setdefault(component[edge.source], []).append(edge)
    for edges in inside.values():
        if not (_all_positive(edges, 1) or _all_positive(edges, -1)):
            nodes = sorted({edge.target for edge in edges})
            yield f"the component of {', '.join(nodes)} has a cycle in time"


def _all_positive(edges: list[Connection | Wire], sign: int) -> bool:
    """Whether the total delay, times `sign`, of every cycle is positive."""
    if all(edge.delay * sign > 0 for edge in edges):
        return True
    # Scaled so that a cycle, of at most len(nodes) edges, is negative exactly where its delay is at most
    # zero.
    nodes = {edge.target for edge in edges}
    graph: nx.DiGraph[Any] = nx.DiGraph()
    for edge in edges:
        length = edge.delay * sign * (len(nodes) + 1) - 1
        known = graph.get_edge_data(edge.source, edge.target, {"length": length})["length"]
        graph.add_edge(edge.source, edge.target, length=min(length, known))
    return not nx.negative_edge_cycle(graph, weight="length")
