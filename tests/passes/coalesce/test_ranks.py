"""Ranks: what is put together by them can still be unrolled."""

from __future__ import annotations

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graphbptt.passes.coalesce.ranks import ALONE, rank_nodes

Edges = list[tuple[int, int, int]]


def is_valid(edges: Edges) -> bool:
    """Whether every strongly connected component has cycles of one sign alone, none of them 0."""
    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
    for source, target, delay in edges:
        graph.add_edge(source, target, delay=delay)
    for nodes in nx.strongly_connected_components(graph):
        part = graph.subgraph(nodes)
        if part.number_of_edges() and not any(_descends(part, sign) for sign in (1, -1)):
            return False
    return True


def _descends(part: nx.MultiDiGraph[int], sign: int) -> bool:
    """Whether all cycles have a positive total, times the sign: scaled and shifted, none is negative."""
    scaled: nx.DiGraph[int] = nx.DiGraph()
    for source, target, delay in part.edges(data="delay"):
        weight = sign * delay * (len(part) + 1) - 1
        known = scaled.get_edge_data(source, target, {"weight": weight})["weight"]
        scaled.add_edge(source, target, weight=min(weight, known))
    return not nx.negative_edge_cycle(scaled)


@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from((0, 0, 1, 1, 2, -1))),
        min_size=1,
        max_size=14,
    )
)
def test_nodes_of_one_rank_can_be_one_node(edges: Edges) -> None:
    source, target, delay = np.array(edges).T
    ranks = rank_nodes(8, source, target, delay)
    merged = {node: ("alone", node) if rank == ALONE else ("rank", rank) for node, rank in enumerate(ranks)}
    names = {key: number for number, key in enumerate(dict.fromkeys(merged.values()))}
    quotient = [(names[merged[a]], names[merged[b]], d) for a, b, d in edges]
    assert is_valid(quotient) == is_valid(edges)
