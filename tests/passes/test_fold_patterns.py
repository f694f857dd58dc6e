"""Sparse weights folded: patterns that are drawn, fans, and ties between sparse weights."""

from __future__ import annotations

import tracemalloc
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.indices import IndexMap, Pattern
from graphbptt.ir.parameters import Group, Initializer, Use
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.passes.fold_patterns import draw_pattern

GLOROT = Initializer("glorot", (("gain", 1.0),))


def fold(*edges: tuple[str, str, dict[str, Any]]) -> FoldedNetwork:
    """A network of nodes a (4 units) and b (5 units)."""
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_node("a", units=4)
    graph.add_node("b", units=5)
    for source, target, attributes in edges:
        graph.add_edge(source, target, **attributes)
    return fold_graph(graph)


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), share=st.floats(0, 1), group=st.text())
def test_as_many_places_as_asked_for(rows: int, columns: int, share: float, group: str) -> None:
    entries = max(1, round(share * rows * columns))
    pattern = draw_pattern(group, rows, columns, entries)
    assert pattern.size == entries
    assert pattern.fits(rows, columns)
    assert draw_pattern(group, rows, columns, entries) == pattern


def test_every_place_is_as_likely() -> None:
    counts = np.zeros((4, 5))
    for group in range(2_000):
        pattern = draw_pattern(str(group), 4, 5, 7)
        counts[pattern.rows, pattern.columns] += 1
    assert abs(counts / 2_000 - 7 / 20).max() < 0.04  # four standard deviations


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
def test_memory_is_proportional_to_the_entries(share: float) -> None:
    """Eight numbers or so for each entry, wherever the entries lie."""
    entries = round(share * 400 * 500)
    tracemalloc.start()
    try:
        draw_pattern("W", 400, 500, entries)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 8 * entries + 100_000


def test_a_pattern_is_drawn_from_the_name_of_its_group() -> None:
    sparse = {"weight": {"sparse": {"density": 0.4}}, "tie": "W"}
    tied = fold(("a", "b", sparse), ("a", "b", {**sparse, "delay": 2}))
    one, other = tied.connections
    assert one.pattern == other.pattern
    assert one.pattern == draw_pattern("W", 4, 5, 8)


def test_fans_are_those_of_the_units() -> None:
    """Twelve entries: three for each of the four units they leave, 2.4 for each of the five they reach."""
    network = fold(("a", "b", {"weight": {"sparse": {"density": 0.6}}}))
    assert network.group["a->b"] == Group("a->b", (12,), GLOROT, fans=(2.4, 3.0))
    assert "group a->b: shape (12,), sum, init glorot(gain=1), fans 2.4 in, 3 out" in str(network)
    few = fold(("a", "b", {"weight": {"sparse": {"density": 0.05}}}))
    assert few.group["a->b"].fans == (1.0, 1.0)


def test_sparse_weights_as_signed_multiples_of_few_scales() -> None:
    """As models of connectomes have it: a weight is a sign times a count times the scale of its kind of cell."""
    edges = [[0, 3], [1, 1], [3, 0]]
    tie = {"group": "scale", "index": [1, 0, 1], "factors": [2, -3, 5]}
    network = fold(("a", "b", {"weight": {"sparse": {"edges": edges}}, "tie": tie, "init": [0.5, 0.25]}))
    (connection,) = network.connections
    assert connection.pattern == Pattern([0, 1, 3], [3, 1, 0])
    assert connection.weight == Use("scale", index=IndexMap([1, 0, 1], [2, -3, 5]))
    assert network.count_entries(7, "scale").tolist() == [7, 14]


def test_ties_between_sparse_weights_follow_the_written_order() -> None:
    """The second list is the first, reversed edge by edge: a transpose."""
    network = fold(
        ("a", "b", {"weight": {"sparse": {"edges": [[0, 3], [1, 1], [3, 0]]}}, "tie": "W"}),
        ("b", "a", {"weight": {"sparse": {"edges": [[3, 0], [1, 1], [0, 3]]}}, "tie": "W"}),
    )
    vector = np.array([1.0, 2.0, 3.0])
    matrices = []
    for connection, shape in zip(network.connections, [(5, 4), (4, 5)], strict=True):
        matrix, use, pattern = np.zeros(shape), connection.weight, connection.pattern
        assert use is not None
        assert pattern is not None
        matrix[pattern.rows, pattern.columns] = vector if use.index is None else use.index.read(vector)
        matrices.append(matrix)
    np.testing.assert_array_equal(matrices[0], matrices[1].T)
