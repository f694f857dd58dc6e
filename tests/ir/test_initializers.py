"""Starting values: what each distribution promises, and that a draw depends on its group and the seed alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Case, cases

import graphbptt
from graphbptt.errors import SpecError
from graphbptt.ir.initializers import DISTRIBUTIONS, draw_group
from graphbptt.ir.parameters import Draws, Group, Initializer, hash_name
from graphbptt.passes.fold_graph import fold_graph


def draw(name: str, shape: tuple[int, ...], seed: int = 0, **numbers: float) -> np.ndarray:
    filled = {**DISTRIBUTIONS[name].defaults, **numbers}
    return draw_group(Group("g", shape, Initializer(name, tuple(filled.items()))), seed)


@pytest.mark.parametrize(
    ("name", "shape", "numbers", "deviation"),
    [
        ("normal", (400, 300), {"std": 0.5}, 0.5),
        ("uniform", (400, 300), {"low": -3, "high": 3}, 3**0.5),
        ("glorot", (400, 300), {"gain": 2}, 2 * (2 / 700) ** 0.5),
        ("glorot_normal", (400, 300), {"gain": 2}, 2 * (2 / 700) ** 0.5),
        ("he", (400, 300), {}, (2 / 400) ** 0.5),
        ("he", (400, 300), {"gain": 1}, (1 / 400) ** 0.5),
    ],
)
def test_the_spread_is_the_published_one(
    name: str, shape: tuple[int, int], numbers: dict[str, float], deviation: float
) -> None:
    values = draw(name, shape, **numbers)
    assert values.std() == pytest.approx(deviation, rel=0.02)
    assert abs(values.mean()) < 0.02 * deviation


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7)])
def test_orthogonal(shape: tuple[int, int]) -> None:
    values = draw("orthogonal", shape, gain=1.5)
    short = values if shape[0] <= shape[1] else values.T
    np.testing.assert_allclose(short @ short.T, 2.25 * np.eye(min(shape)), atol=1e-12)


def test_identity() -> None:
    np.testing.assert_array_equal(draw("identity", (2, 3), gain=-2), [[-2, 0, 0], [0, -2, 0]])


def test_spectral_radius() -> None:
    assert np.abs(np.linalg.eigvals(draw("spectral_radius", (40, 40), radius=0.9))).max() == pytest.approx(
        0.9
    )


def test_sparse_gives_every_target_so_many_sources() -> None:
    values = draw("sparse", (50, 8), connections=3, std=2)
    assert ((values != 0).sum(axis=0) == 3).all()
    assert len({tuple(np.flatnonzero(column)) for column in values.T}) > 1
    assert (draw("sparse", (2, 8), connections=3) != 0).all()


def declare(init: Any, **edge: Any) -> nx.DiGraph[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", units=3)
    graph.add_node("h", units=4)
    graph.add_edge("x", "h", init=init, **edge)
    return graph


@pytest.mark.parametrize(
    ("init", "what"),
    [
        ("spectral_radius", "spectral_radius is for square matrices, not for shape (3, 4)"),
        ({"sparse": {"connections": 0}}, "sparse: connections is no whole number from 1"),
        ({"sparse": {"connections": 1.5}}, "sparse: connections is no whole number from 1"),
        ({"he": {"gain": -1}}, "he: gain is negative"),
        ({"orthogonal": {"radius": 1}}, "orthogonal has no number 'radius'"),
    ],
)
def test_what_cannot_be_drawn(init: Any, what: str) -> None:
    with pytest.raises(SpecError) as caught:
        fold_graph(declare(init))
    (problem,) = caught.value.problems
    assert (problem.path, problem.what) == ("edge x->h.init", what)
    assert problem.instead


@pytest.mark.parametrize("name", ["orthogonal", "identity", "spectral_radius", "sparse"])
def test_matrices_are_for_matrices(name: str) -> None:
    graph = declare("glorot")
    graph.nodes["h"]["bias"] = {"init": name}
    with pytest.raises(SpecError) as caught:
        fold_graph(graph)
    assert [problem.path for problem in caught.value.problems] == ["node h.bias.init"]


def test_a_directed_distribution_has_no_transpose() -> None:
    graph = nx.MultiDiGraph(declare({"he": {}}, tie={"group": "h->x", "transpose": True}))
    graph.add_edge("h", "x")
    with pytest.raises(SpecError, match="he tells sources from targets"):
        fold_graph(graph)


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS.keys() - {"balanced"}))
def test_a_scaled_member_starts_at_its_own_numbers(name: str) -> None:
    """The group's init is that of the member, divided by its scale."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(["a", "b"], units=20)
    graph.add_edge("a", "b", init=name, tie={"group": "W", "scale": 2})
    model = graphbptt.compile(graph, backend="numpy", dtype="float64")
    plain = draw_group(
        Group("W", (20, 20), Initializer(name, tuple(DISTRIBUTIONS[name].defaults.items()))), 0
    )
    np.testing.assert_allclose(2 * model.parameters["W"], plain, atol=1e-12)


def test_sparse_weights_start_by_the_fans_of_their_pattern() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(["a", "b"], units=400)
    graph.add_edge("a", "b", weight={"sparse": {"density": 0.05}})
    graph.add_edge("b", "a", weight={"sparse": {"density": 0.05}}, init="he")
    model = graphbptt.compile(graph, backend="numpy")
    assert model.parameters["a->b"].std() == pytest.approx((2 / 40) ** 0.5, rel=0.03)
    assert model.parameters["b->a"].std() == pytest.approx((2 / 20) ** 0.5, rel=0.03)


def test_weights_read_through_an_index_start_by_the_fans_of_the_matrix() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("a", units=500)
    circulant = (np.arange(500)[:, None] - np.arange(500)) % 500
    graph.add_edge("a", "a", tie={"group": "k", "index": circulant})
    values = graphbptt.compile(graph, backend="numpy").parameters["k"]
    assert values.shape == (500,)
    assert values.std() == pytest.approx((2 / 1000) ** 0.5, rel=0.1)


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_single_numbers_are_drawn_like_arrays(name: str) -> None:
    """Parameters of one number, each drawn by its name, have the mean and the spread of many small matrices."""
    initializer = Initializer(name, tuple(DISTRIBUTIONS[name].defaults.items()))
    names = [f"a{k}->b" for k in range(4000)]
    keys = np.array([hash_name(text) for text in names], np.uint64)
    each = draw_group(Group("W", (4000,), Draws(initializer, keys)), 3)
    assert draw_group(Group(names[7], (1, 1), initializer), 3) == each[7]
    assert draw_group(Group(names[8], (1,), Draws(initializer, keys[8:9])), 4) != each[8] or name in (
        "constant", "identity", "orthogonal", "spectral_radius",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    numbers = DISTRIBUTIONS[name].defaults
    arrays = np.array([DISTRIBUTIONS[name].draw(rng, (1, 1), numbers, (1, 1)).item() for _ in range(4000)])
    assert each.mean() == pytest.approx(arrays.mean(), abs=0.07)
    assert each.std() == pytest.approx(arrays.std(), rel=0.05, abs=1e-12)


def values_of(graph: nx.MultiDiGraph[Any], seed: int) -> Mapping[str, np.ndarray]:
    return {group.name: draw_group(group, seed) for group in fold_graph(graph).groups}


@given(cases(), st.randoms(use_true_random=False))
def test_a_draw_depends_on_its_group_and_the_seed_alone(case: Case, random: Any) -> None:
    graph = case.graph
    edges = list(graph.edges(keys=True, data=True))
    nodes = list(graph.nodes(data=True))
    random.shuffle(edges)
    random.shuffle(nodes)
    other: nx.MultiDiGraph[Any] = nx.MultiDiGraph(**graph.graph)
    other.add_node("another", units=2)
    other.add_nodes_from(nodes)
    other.add_edge("another", "another", key=0)
    other.add_edges_from(edges)
    drawn, again = values_of(graph, case.seed), values_of(other, case.seed)
    assert set(again) - set(drawn) == {"another->another", "another.bias"}
    for name, values in drawn.items():
        np.testing.assert_array_equal(values, again[name])


def test_merged_and_tied_weights_start_alike_in_any_order() -> None:
    """Weights of one packed matrix are drawn one by one, and tied ones once: neither order nor neighbours matter."""
    edges: list[tuple[str, str, dict[str, Any]]] = [
        ("x", "a", {}),
        ("x", "b", {"init": "he"}),
        ("h", "a", {"tie": "W"}),
        ("h", "b", {"tie": {"group": "W", "scale": -2}, "init": "orthogonal"}),
        ("a", "h", {"tie": {"group": "W", "transpose": True}}),
        ("b", "h", {}),
    ]

    def start(names: str, edges: list[tuple[str, str, dict[str, Any]]]) -> graphbptt.Model:
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(names, units=4, activation="tanh")
        graph.add_edges_from(edges)
        return graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], backend="numpy", seed=7)

    plain = start("xabh", edges)
    more = start("uhbaxv", [("u", "v", {}), ("x", "v", {}), *reversed(edges), ("h", "u", {"init": "he"})])
    for model in (plain, more):
        owners = [{entry.owner for entry in matrix.entries} for matrix in model.plan.matrices]
        assert any({"h->a", "h->b"} <= found for found in owners)
    for name, values in plain.parameters.items():
        np.testing.assert_array_equal(more.parameters[name], values)


def test_members_that_start_alike_but_for_rounding_are_drawn_by_name() -> None:
    edges: list[tuple[str, str, dict[str, Any]]] = [
        ("a", "b", {"tie": {"group": "W", "scale": 3}, "init": np.full((2, 2), 0.3)}),
        ("b", "c", {"tie": "W", "init": np.full((2, 2), 0.1)}),
    ]
    found = []
    for order in ("abc", "cba"):
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(order, units=2)
        graph.add_edges_from(edges)
        found.append(values_of(nx.MultiDiGraph(graph), 0)["W"])
    np.testing.assert_array_equal(found[0], found[1])
