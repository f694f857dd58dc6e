"""FoldedNetwork -> Schedule: what recurs, and an order of computation in which every state is set before it is read.

A network is valid exactly when its unrolling is acyclic: inside each strongly connected component all cycles must have
a positive total delay (scan forward) or all a negative one (scan in reverse). Single edges that point the other way
are retimed: each population gets a phase, a shift of its steps against the iterations of the scan, such that no edge
reads an iteration yet to come (Leiserson and Saxe, "Retiming synchronous circuitry", Algorithmica 6, 1991).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import networkx as nx

from graphbptt.errors import Problem, SpecError
from graphbptt.ir.folded import Connection, FoldedNetwork, Wire
from graphbptt.ir.schedule import Component, Mode, Schedule, Scheduled

__all__ = ["schedule_stages"]

Edge = Connection | Wire


def schedule_stages(network: FoldedNetwork) -> Schedule:
    """Order the populations into components.

    Raises
    ------
    SpecError
        A component has a cycle without delay, or cycles of positive and of negative total delay; the problem names
        them edge by edge.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(population.name for population in network.populations)
    graph.add_edges_from((edge.source, edge.target) for edge in network.edges)
    condensed = nx.condensation(graph)
    order = nx.lexicographical_topological_sort(condensed, key=lambda c: min(condensed.nodes[c]["members"]))
    component_of = condensed.graph["mapping"]
    inner: dict[int, list[Edge]] = {}
    for edge in network.edges:
        if component_of[edge.source] == component_of[edge.target]:
            inner.setdefault(component_of[edge.source], []).append(edge)
    components: list[Component] = []
    problems: list[Problem] = []
    for index in order:
        members = sorted(condensed.nodes[index]["members"])
        if index not in inner:
            mode: Mode = "given" if members[0] in network.given else "batched"
            components.append(Component(mode, (Scheduled(members[0]),)))
            continue
        scanned = _scan(members, inner[index])
        if scanned is None:
            problems.append(_explain_cycles(inner[index]))
        else:
            components.append(scanned)
    if problems:
        raise SpecError(problems)
    return tuple(components)


def _scan(members: Sequence[str], edges: Sequence[Edge]) -> Component | None:
    """The component scanned forward if possible, else in reverse, else None."""
    modes: tuple[tuple[Mode, int], ...] = (("forward", 1), ("reverse", -1))
    for mode, sign in modes:
        phases = _retime(members, edges, sign)
        if phases is None:
            continue
        levels = _levels(
            members, (e for e in edges if sign * e.delay + phases[e.target] - phases[e.source] == 0)
        )
        if levels is not None:
            return Component(mode, tuple(Scheduled(name, phases[name], levels[name]) for name in members))
    return None


def _retime(members: Sequence[str], edges: Sequence[Edge], sign: int) -> dict[str, int] | None:
    """Phases with ``sign * delay + phase[target] - phase[source] >= 0`` on every edge; None if there are none.

    Shortest paths against the edges, with a queue (Bellman and Ford); a node improved as often as there are nodes
    lies on a cycle of negative total.
    """
    phase = dict.fromkeys(members, 0)
    if all(sign * edge.delay >= 0 for edge in edges):
        return phase
    into: dict[str, list[tuple[str, int]]] = {name: [] for name in members}
    for edge in edges:
        into[edge.target].append((edge.source, sign * edge.delay))
    queue, queued, improved = deque(members), set(members), dict.fromkeys(members, 0)
    while queue:
        target = queue.popleft()
        queued.discard(target)
        for source, delay in into[target]:
            if phase[source] > phase[target] + delay:
                phase[source] = phase[target] + delay
                improved[source] += 1
                if improved[source] > len(members):
                    return None
                if source not in queued:
                    queue.append(source)
                    queued.add(source)
    first = min(phase.values())
    return {name: value - first for name, value in phase.items()}


def _levels(members: Iterable[str], undelayed: Iterable[Edge]) -> dict[str, int] | None:
    """The topological generation of each member among the edges inside one iteration; None if these have a cycle."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(members)
    graph.add_edges_from((edge.source, edge.target) for edge in undelayed)
    if not nx.is_directed_acyclic_graph(graph):
        return None
    return {name: level for level, names in enumerate(nx.topological_generations(graph)) for name in names}


def _explain_cycles(edges: Sequence[Edge]) -> Problem:
    """Why the component cannot be scanned: a cycle of no delay in all, or two of opposite sign, edge by edge."""
    undelayed = _find_cycle([edge for edge in edges if edge.delay == 0])
    if undelayed:
        return _no_delay(undelayed)
    shortest, longest = _most_negative(edges, 1), _most_negative(edges, -1)
    for cycle in (shortest, longest):
        if sum(edge.delay for edge in cycle) == 0:
            return _no_delay(cycle)
    return Problem(
        _path(shortest[0]),
        f"cycles of negative and of positive total delay meet: {_describe(shortest)}, and {_describe(longest)}",
        "a component is scanned in one direction: give all its cycles a positive total delay, or all a negative one",
    )


def _no_delay(cycle: Sequence[Edge]) -> Problem:
    return Problem(
        _path(cycle[0]),
        f"a cycle without delay: {_describe(cycle)}; each state would need itself",
        "give one of these edges a delay of at least 1",
    )


def _most_negative(edges: Sequence[Edge], sign: int) -> list[Edge]:
    """A cycle whose total delay, times `sign`, is not positive (there is one, or `_scan` would have succeeded).

    Shortest paths from everywhere at once: what is still improved after as many rounds as there are nodes hangs on a
    cycle, found by walking back.
    """
    # Scaled so that cycles of total zero become negative too: a simple cycle has at most `count` edges.
    count = len({edge.source for edge in edges}) + 1
    distance: dict[str, int] = {}
    arrived_by: dict[str, Edge] = {}
    improved = edges[0]
    for _ in range(count + 1):
        for edge in edges:
            reached = distance.get(edge.source, 0) + sign * edge.delay * count - 1
            if reached < distance.get(edge.target, 0):
                distance[edge.target], arrived_by[edge.target] = reached, edge
                improved = edge
    node = improved.target
    for _ in range(count):
        node = arrived_by[node].source
    cycle = [arrived_by[node]]
    while cycle[-1].source != node:
        cycle.append(arrived_by[cycle[-1].source])
    cycle.reverse()
    first = min(range(len(cycle)), key=lambda index: _name(cycle[index]))
    return cycle[first:] + cycle[:first]


def _find_cycle(edges: Sequence[Edge]) -> list[Edge]:
    by_pair = {(edge.source, edge.target): edge for edge in edges}
    graph: nx.DiGraph[str] = nx.DiGraph(list(by_pair))
    try:
        pairs = nx.find_cycle(graph)
    except nx.NetworkXNoCycle:
        return []
    return [by_pair[pair[0], pair[1]] for pair in pairs]


def _describe(cycle: Sequence[Edge]) -> str:
    total = sum(edge.delay for edge in cycle)
    return ", ".join(f"{_name(edge)} (delay {edge.delay})" for edge in cycle) + f", {total} in all"


def _path(edge: Edge) -> str:
    """The path of the declaration that an edge comes from."""
    return f"edge {edge.name}" if isinstance(edge, Connection) else f"node {edge.target}.activation"


def _name(edge: Edge) -> str:
    return (
        edge.name
        if isinstance(edge, Connection)
        else f"{edge.source}->{edge.target} (read by the activation)"
    )
