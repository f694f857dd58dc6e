from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from strategies import Case, cases

from graphbptt.errors import SpecError, VerificationError
from graphbptt.ir.data import Clamp
from graphbptt.ir.folded import Connection, FoldedNetwork, Wire
from graphbptt.ir.unrolled import Bundle, ComputedSteps, UnrolledGraph
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.passes.unroll_network import unroll_network
from graphbptt.passes.verify_unrolled import verify_unrolled


def fold(edges: list[tuple[str, str, int]], clamps: list[Clamp] | None = None) -> FoldedNetwork:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for source, target, delay in edges:
        graph.add_edge(source, target, delay=delay)
    return fold_graph(graph, clamps or [])


def test_layers_are_steps_where_every_delay_is_one() -> None:
    unrolled = unroll_network(fold([("a", "b", 1), ("b", "a", 1), ("a", "a", 1)]), 3)
    assert list(unrolled.layers) == [(("a", step), ("b", step)) for step in range(4)]


def test_history_and_look_ahead_rows_exist_where_something_reads_them() -> None:
    unrolled = unroll_network(fold([("a", "b", 3), ("c", "b", -2), ("b", "a", 1)]), 4)
    rows = {row.population: (row.first, row.last) for row in unrolled.rows}
    assert rows == {"a": (-2, 4), "b": (0, 4), "c": (0, 6)}


def test_nothing_arrives_at_what_is_clamped() -> None:
    network = fold(
        [("x", "h", 1), ("h", "x", 1), ("h", "h", 1)], [Clamp("x", "x"), Clamp("h", "h", at=(2, 9))]
    )
    unrolled = unroll_network(network, 3)
    arcs = {(arc.source, arc.target, arc.group) for arc in unrolled.arcs()}
    assert arcs == {
        (("x", 0), ("h", 1), "x->h"),
        (("h", 0), ("h", 1), "h->h"),
        (("x", 2), ("h", 3), "x->h"),
        (("h", 2), ("h", 3), "h->h"),
    }
    assert {group: len(copies) for group, copies in unrolled.groups.items()} == {
        "h->h": 2,
        "h->x": 0,
        "h.bias": 2,
        "x->h": 2,
        "x.bias": 0,
    }


def test_a_masked_clamp_may_leave_the_state_free() -> None:
    network = fold([("h", "h", 1)], [Clamp("h", "h", mask="m"), Clamp("h", "h", at=(1,), mask="m")])
    assert unroll_network(network, 3).number_of_arcs == 3


@given(case=cases())
def test_networkx_agrees(case: Case) -> None:
    unrolled = unroll_network(case.fold(), case.steps)
    graph = unrolled.to_networkx()
    generations = [set(generation) for generation in nx.topological_generations(graph)]
    assert [set(layer) for layer in unrolled.layers] == generations
    assert all(graph.nodes[vertex]["layer"] == k for k, layer in enumerate(generations) for vertex in layer)
    assert all(data["step"] == step for (_, step), data in graph.nodes(data=True))
    assert unrolled.number_of_vertices == graph.number_of_nodes()
    assert unrolled.number_of_arcs == graph.number_of_edges()
    for (_, before), (_, after), data in graph.edges(data=True):
        assert after - before == data["delay"]
        assert data["group"] in unrolled.network.group or (data["group"] is None and data["kind"] == "wire")


@given(case=cases())
def test_copies_are_those_of_the_folded_network(case: Case) -> None:
    unrolled = unroll_network(case.fold(), case.steps)
    counted = unrolled.network.count_copies(case.steps)
    assert {group: len(list(copies)) for group, copies in unrolled.groups.items()} == counted
    assert {group: len(copies) for group, copies in unrolled.groups.items()} == counted
    for copies in unrolled.groups.values():
        assert all(copy in copies for copy in copies)
    weighted = {edge.name for edge in unrolled.network.connections if edge.weight is not None}
    at_arcs = [copy for copies in unrolled.groups.values() for copy in copies if copy.owner in weighted]
    assert len(at_arcs) == sum(arc.group is not None for arc in unrolled.arcs())


def test_a_million_steps_are_not_a_million_objects() -> None:
    network = fold([("a", "b", 0), ("b", "a", 1), ("x", "b", 2)], [Clamp("x", "x")])
    tracemalloc.start()
    unrolled = unroll_network(network, 1_000_000)
    assert unrolled.number_of_vertices == 3 * 1_000_001 + 1
    assert unrolled.number_of_arcs == 3_000_000
    assert len(unrolled.groups["x->b"]) == 1_000_000
    assert next(unrolled.incoming(("a", 1_000_000))).source == ("b", 999_999)
    assert str(unrolled).startswith("unrolled over 1000000 steps: 3000004 vertices, 3000000 arcs")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_many_layers_are_columns() -> None:
    unrolled = unroll_network(fold([("a", "a", 1)]), 100_000)
    assert len(unrolled.layers) == 100_001
    assert unrolled.layers[-1] == (("a", 100_000),)
    assert unrolled.layers[10:12] == ((("a", 10),), (("a", 11),))
    with pytest.raises(IndexError):
        unrolled.layers[100_001]


@pytest.mark.parametrize("steps", [0, -3, 2.0, True, "4"])
def test_steps_must_be_a_positive_whole_number(steps: Any) -> None:
    with pytest.raises(SpecError, match="give a whole number from 1"):
        unroll_network(fold([("a", "b", 1)]), steps)


def test_steps_may_be_a_numpy_integer() -> None:
    assert unroll_network(fold([("a", "b", 1)]), np.int64(2)) == unroll_network(fold([("a", "b", 1)]), 2)


def chain(delays: list[int]) -> UnrolledGraph:
    """An unrolled ring whose delays are changed behind the back of every check."""
    names = [f"n{k}" for k in range(len(delays))]
    unrolled = unroll_network(fold([(a, b, 1) for a, b in zip(names, names[1:] + names[:1], strict=True)]), 4)
    rings = dict(zip(names, delays, strict=True))
    connections = tuple(replace(edge, delay=rings[edge.source]) for edge in unrolled.network.connections)
    network = replace(unrolled.network, connections=connections)
    rows = tuple(replace(row, first=-9, last=13) for row in unrolled.rows)
    bundles = tuple(Bundle(edge, ComputedSteps(4)) for edge in network.edges)
    return UnrolledGraph(network, 4, rows, bundles)


@pytest.mark.parametrize("delays", [[2, -1], [-2, 1], [0, 0, 1], [1], [-3, 1, 1]])
def test_retimed_rings_are_acyclic(delays: list[int]) -> None:
    unrolled = chain(delays)
    verify_unrolled(unrolled)
    assert sum(map(len, unrolled.layers)) == unrolled.number_of_vertices


@pytest.mark.parametrize("delays", [[0], [1, -1], [0, 0, 0], [2, -3, 1]])
def test_a_cycle_in_time_is_found(delays: list[int]) -> None:
    unrolled = chain(delays)
    assert sum(map(len, unrolled.layers)) < unrolled.number_of_vertices
    with pytest.raises(VerificationError, match="has a cycle in time"):
        verify_unrolled(unrolled)


def test_cycles_of_both_signs_are_found() -> None:
    unrolled = unroll_network(fold([("a", "a", 1)]), 4)
    network = replace(unrolled.network, wires=(Wire("a", "a", -2),))
    rows = (replace(unrolled.rows[0], last=6),)
    bundles = tuple(Bundle(edge, ComputedSteps(4)) for edge in network.edges)
    with pytest.raises(VerificationError, match="the component of a has a cycle in time"):
        verify_unrolled(UnrolledGraph(network, 4, rows, bundles))


def test_every_invariant_is_checked() -> None:
    good = unroll_network(fold([("a", "b", 2), ("b", "b", 1)]), 4)
    a, b = good.rows
    edge = good.bundles[0].edge
    assert isinstance(edge, Connection)
    broken = {
        "its rows are not the populations": replace(good, rows=(b, a)),
        "row a does not hold the steps 0 to 4": replace(good, rows=(replace(a, last=3), b)),
        "row b computes the steps": replace(good, rows=(a, replace(b, computed=ComputedSteps(3)))),
        "its bundles are not the edges": replace(good, bundles=good.bundles[::-1]),
        "leaves from vertices that do not exist": replace(good, rows=(replace(a, first=0), b)),
        "arrives at other steps than those computed": replace(
            good, bundles=(replace(good.bundles[0], steps=ComputedSteps(2)), good.bundles[1])
        ),
        "the copies of a->b": replace(good, rows=(a, replace(b, computed=ComputedSteps(4, frozenset({1}))))),
    }
    for message, unrolled in broken.items():
        with pytest.raises(VerificationError, match=message):
            verify_unrolled(unrolled)
    verify_unrolled(good)
