"""Balanced starting values: for every unit expected excitation and inhibition cancel, with the published spread."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.errors import SpecError
from graphbptt.ir.parameters import FrozenArray
from graphbptt.passes.fold_graph import fold_graph


def draw_graph(excitatory: int = 800, inhibitory: int = 200, **edge: Any) -> nx.MultiDiGraph[str]:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_node("e", units=excitatory, sign="excitatory")
    graph.add_node("i", units=inhibitory, sign="inhibitory")
    for source in "ei":
        for target in "ei":
            graph.add_edge(source, target, **{"init": {"balanced": {"gain": 1.5}}, **edge})
    return graph


def draw_matrix(graph: nx.MultiDiGraph[str]) -> tuple[np.ndarray, int]:
    model = graphbptt.compile(graph, backend="numpy", dtype="float64")
    sizes = [graph.nodes[node]["units"] for node in "ei"]
    blocks = [[np.zeros((rows, columns)) for columns in sizes] for rows in sizes]
    for connection in model.network.connections:
        row, column = "ei".index(connection.source), "ei".index(connection.target)
        values = model.parameters[connection.name]
        if connection.pattern is None:
            blocks[row][column][...] = values
        else:
            blocks[row][column][connection.pattern.rows, connection.pattern.columns] = values
    return np.block(blocks), sizes[0]


@pytest.mark.parametrize("weight", ["dense", {"sparse": {"density": 0.2}}])
def test_excitation_and_inhibition_cancel_in_expectation(weight: Any) -> None:
    matrix, excitatory = draw_matrix(draw_graph(weight=weight))
    assert matrix[:excitatory].min() >= 0 >= matrix[excitatory:].max()
    excitation, inhibition = matrix[:excitatory].sum(axis=0), matrix[excitatory:].sum(axis=0)
    assert excitation.mean() == pytest.approx(-inhibition.mean(), rel=0.02)
    assert abs(matrix.sum(axis=0).mean()) < 0.01 * excitation.mean()


def test_the_gain_is_the_radius_of_the_eigenvalues() -> None:
    matrix, excitatory = draw_matrix(draw_graph())
    variances = [matrix[:excitatory].var() * excitatory, matrix[excitatory:].var() * len(matrix[excitatory:])]
    assert sum(variances) == pytest.approx(1.5**2, rel=0.05)
    # All but the few that stand out because the sums cancel in expectation only.
    radii = np.sort(np.abs(np.linalg.eigvals(matrix)))
    assert radii[-20] == pytest.approx(1.5, rel=0.05)


def test_units_with_other_numbers_of_sources_have_weights_of_other_sizes() -> None:
    graph = nx.MultiDiGraph()
    graph.add_node("e", units=2000, sign="excitatory")
    graph.add_node("i", units=1000, sign="inhibitory")
    graph.add_node("h", units=2)
    graph.add_edge("e", "h", init="balanced", from_units=list(range(1000)))
    graph.add_edge("e", "h", init="balanced", to_units=[1], delay=2)
    graph.add_edge("i", "h", init="balanced")
    weights = graphbptt.compile(graph, backend="numpy", dtype="float64").parameters
    first = weights["e->h@1"].sum(axis=0)
    second = np.array([0, weights["e->h@2"].sum()])
    np.testing.assert_allclose(first + second, -weights["i->h"].sum(axis=0), rtol=0.1)
    # A thousand inhibitory weights, and a thousand or three thousand excitatory ones.
    sizes = [1 / (count * (1 / count + 1 / 1000) ** 0.5) for count in (1000, 3000)]
    np.testing.assert_allclose(weights["e->h@1"].std(axis=0), sizes, rtol=0.1)


def test_tied_weights_are_balanced_through_the_tie() -> None:
    graph = draw_graph(100, 100)
    graph["e"]["e"][0].update(tie={"group": "W", "scale": 2})
    graph["i"]["e"][0].update(tie={"group": "W", "scale": -2})
    del graph["i"]["e"][0]["init"]
    weights = graphbptt.compile(graph, backend="numpy", dtype="float64").parameters["W"]
    mean = 1.5 * 2**0.5 / (100 * (1 / 100 + 1 / 100) ** 0.5)
    assert 2 * weights.mean() == pytest.approx(mean, rel=0.03)


def test_an_index_and_a_transposition_are_undone() -> None:
    graph = nx.MultiDiGraph()
    graph.add_node("e", units=2, sign="excitatory")
    graph.add_node("i", units=2, sign="inhibitory")
    index = [[0, 1], [None, 0]]
    graph.add_edge("e", "e", init="balanced", tie={"group": "k", "index": index, "factors": [[1, 3], [1, 1]]})
    graph.add_edge("i", "e", init="balanced", tie="V")
    graph.add_edge("i", "i", tie={"group": "V", "transpose": True})
    graph.add_edge("e", "i", init="balanced")
    group = fold_graph(graph).group
    assert group["k"].balance == FrozenArray([0.5, 0.5 / 3])
    assert group["V"].balance == FrozenArray(0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.nodes["e"].pop("sign"), "edge e->e.init: it starts balanced, but nothing says"),
        (lambda g: g.remove_edge("i", "e"), "edge e->e.init: no inhibitory weight .* unit 0 of e"),
        (
            lambda g: g["i"]["e"][0].update(init={"balanced": {"gain": 2}}),
            "edge i->e.init: its gain or its shape differs from that of e->e",
        ),
        (
            lambda g: g.nodes["e"].update(bias={"init": "balanced"}),
            "node e.bias.init: it starts balanced, but",
        ),
        (
            lambda g: (
                g.add_node("h", units=8),
                g.add_edge("e", "h", tie="e->e", from_units=[0, 1, 2, 3, 4, 5, 6, 7]),
                g.add_edge("i", "h", from_units=[0], init={"balanced": {"gain": 1.5}}),
            ),
            "group 'e->e' would have to start at other sizes",
        ),
        (
            lambda g: g["e"]["e"][0].update(init={"balanced": {"shape": 0.5}}),
            "shape is no whole number from 1",
        ),
    ],
)
def test_what_cannot_be_balanced_is_refused(change: Any, message: str) -> None:
    graph = draw_graph(8, 2)
    change(graph)
    with pytest.raises(SpecError, match=message):
        fold_graph(graph)
