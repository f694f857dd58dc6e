"""Linear constraints: what their text means, what is refused, and that training stays inside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphbptt
from graphbptt.errors import SpecError
from graphbptt.keeper import Keeper
from graphbptt.passes.fold_graph import fold_graph

OPTIMIZERS: list[dict[str, Any]] = [
    {"sgd": {"rate": 0.01, "momentum": 0.9}},
    {"sgd": {"rate": 0.01, "momentum": 0.9, "nesterov": True}},
    {"rmsprop": {"rate": 0.001}},
    {"adam": {"rate": 0.001}},
    {"adamw": {"rate": 0.001, "weight_decay": 0.3}},
]
EXACT = {"float32": 1e-6, "float64": 1e-12}


def draw_graph(*constraints: str, **weight: Any) -> nx.MultiDiGraph:
    graph = nx.MultiDiGraph(constraints=list(constraints))
    graph.add_node("x", units=2)
    graph.add_node("h", units=4, activation="tanh")
    graph.add_node("y")
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "h", **{"tie": "W", **weight})
    graph.add_edge("h", "y", delay=0)
    return graph


def build_model(*constraints: str, dtype: str = "float64", **weight: Any) -> graphbptt.Model:
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    graph = draw_graph(*constraints, **weight)
    return graphbptt.compile(graph, inputs, targets, backend="numpy", dtype=dtype)


def draw_fields() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {"x": generator.normal(size=(8, 3, 2)), "y": generator.normal(size=(8, 3, 1))}


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ("W == -W.T", lambda p: p["W"] + p["W"].T),
        ("W == W.T", lambda p: p["W"] - p["W"].T),
        ("sum(W, axis=1) == 0", lambda p: p["W"].sum(axis=1)),
        ("sum(W) == 1", lambda p: p["W"].sum() - 1),
        ("2*h.bias[0] == y.bias[0] - 0.5", lambda p: 2 * p["h.bias"][0] - p["y.bias"][0] + 0.5),
        ("x->h[0, :] == W[1, :] / 4", lambda p: p["x->h"][0] - p["W"][1] / 4),
        ("W[0,0] == 0.5", lambda p: p["W"][0, 0] - 0.5),
        ("W[-1, 1:3] == 2*('h->y'[:2, 0] + 1)", lambda p: p["W"][-1, 1:3] - 2 * (p["h->y"][:2, 0] + 1)),
    ],
)
def test_a_constraint_means_what_numpy_makes_of_it(text: str, measure: Any) -> None:
    model = build_model(text)
    assert np.abs(measure(model.parameters)).max() < 1e-12
    graphbptt.train(model, draw_fields(), optimizer={"adam": {"rate": 0.01}}, epochs=30, batch=8)
    assert np.abs(measure(model.parameters)).max() < 1e-12


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda choice: "-".join(map(str, *choice.values())))
@pytest.mark.parametrize("dtype", EXACT)
def test_constraints_hold_after_ten_thousand_updates(optimizer: dict[str, Any], dtype: str) -> None:
    model = build_model("W == -W.T", "sum(x->h, axis=1) == 1", "h.bias[0] == 3*y.bias[0]", dtype=dtype)
    graphbptt.train(model, draw_fields(), optimizer=optimizer, epochs=2, batch=8)
    before = model.vector.copy()
    projection = model.plan.projection
    assert projection is not None
    fields = {name: array[:2, :2] for name, array in draw_fields().items()}
    graphbptt.train(model, fields, optimizer=optimizer, epochs=5_000, batch=1, clip=1.0)
    assert np.abs(projection.measure(model.vector)).max() < EXACT[dtype]
    assert np.abs(model.vector - before).max() > 0.01


def test_a_start_inside_moves_by_the_projected_step_alone() -> None:
    model, free = build_model("sum(W) == 1"), build_model()
    free.vector[...] = model.vector
    _, gradients = model.loss_and_gradients(draw_fields())
    np.testing.assert_array_equal(gradients["W"], free.loss_and_gradients(draw_fields())[1]["W"])
    start = model.parameters["W"].copy()
    graphbptt.train(model, draw_fields(), optimizer={"sgd": {"rate": 0.1}}, epochs=1, batch=8)
    step = -0.1 * (gradients["W"] - gradients["W"].mean())
    np.testing.assert_allclose(model.parameters["W"] - start, step, atol=1e-14)


@given(st.integers(0, 1000), st.integers(1, 6))
def test_random_equations_have_the_projection_of_least_squares(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    names = ["W[0,1]", "W[1,0]", "h.bias[2]", "h->y[0,0]", "sum(W, axis=0)[3]"]
    texts = []
    for _ in range(count):
        terms = [f"{generator.integers(-3, 4)}*{name}" for name in generator.permutation(names)[:3]]
        texts.append(" + ".join([*terms, "h->y[1,0]"]) + " == 0")
    model = build_model(*texts, *texts[:1])
    projection = model.plan.projection
    assert projection is not None
    point = generator.normal(size=model.vector.shape)
    nearest = point.copy()
    Keeper(projection, nearest).apply()
    matrix = projection.matrix.toarray()
    step = np.linalg.lstsq(matrix, matrix @ point - projection.right, rcond=1e-10)[0]
    np.testing.assert_allclose(point - nearest, step, atol=1e-9)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["W * W == 0"], "it is not linear at column 1"),
        (["V == 0"], "no parameter is named 'V' at column 1"),
        (["W == W"], "no parameter is left in it"),
        (["W == h.bias[:3]"], r"shapes \(4, 4\) and \(3,\) do not fit"),
        (["W < 0"], "no single equality"),
        (["W ** 2 == 0"], "no meaning here"),
        (["W[9, 0] == 0"], "no such part"),
        (["sum(W, axis=2) == 0"], "no such sum"),
        (["W == 1e400"], "out of range"),
        (["1e200 * W[0, 0] == 1"], "out of range"),
        (["W[0, 0] == 1e-200 * W[1, 1]"], "out of range"),
        (["W / 0 == 1"], "divides by 0"),
        (["W == ("], "cannot be read"),
        (["__import__('os') == W"], "no meaning here"),
        (["W[0,0] == 1", "W[0,0] == 2"], r"W\[0,0\] == 1.*\n.*W\[0,0\] == 2.*off by"),
    ],
)
def test_what_cannot_be_kept_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        build_model(*texts)
    assert all(problem.path.startswith("constraint ") for problem in caught.value.problems)


def test_texts_must_be_a_list() -> None:
    graph = draw_graph()
    graph.graph["constraints"] = "W == 0"
    with pytest.raises(SpecError, match="no list of texts"):
        graphbptt.compile(graph)


def test_given_values_are_not_moved_but_reported() -> None:
    with pytest.raises(SpecError, match=r"W == -W.T: the values do not meet it: it is off by 2"):
        build_model("W == -W.T", init=np.eye(4).tolist())


def test_fixed_parameters_move_to_the_right_side() -> None:
    model = build_model("W[:, :2].T == x->h", trainable=False)
    before = model.parameters["W"].copy()
    graphbptt.train(model, draw_fields(), epochs=3, batch=4)
    np.testing.assert_array_equal(model.parameters["W"], before)
    np.testing.assert_allclose(model.parameters["x->h"], before[:, :2].T, atol=1e-12)


def test_assigned_values_are_reported_before_training() -> None:
    model = build_model("W == -W.T")
    model.parameters["W"] = np.ones((4, 4))
    with pytest.raises(SpecError, match="only updates are projected"):
        graphbptt.train(model, draw_fields(), epochs=1)
    assert model.parameters["W"].all()


def test_a_projection_that_does_not_fit_says_its_size() -> None:
    graph = nx.DiGraph([("h", "h")], constraints=["sum(h->h, axis=0) == sum(h->h, axis=1)"])
    graph.nodes["h"]["units"] = 1200
    with pytest.raises(SpecError, match="1,200 equations hang together, more than the 1,000"):
        graphbptt.compile(graph)


def test_small_components_are_cheap_however_many() -> None:
    graph = nx.DiGraph([("h", "h")], constraints=["h->h == -h->h.T"])
    graph.nodes["h"]["units"] = 500
    model = graphbptt.compile(graph)
    weights = model.parameters["h->h"]
    np.testing.assert_array_equal(weights, -weights.T)
    assert model.plan.projection is not None
    assert model.plan.projection.gram.nnz <= 2 * 500 * 500
    assert model.plan.projection.cost.components == 500 * 501 / 2


def test_the_text_of_the_network_names_them() -> None:
    assert "constraint W == -W.T (16 equations)" in str(fold_graph(draw_graph("W == -W.T")))


@pytest.mark.parametrize("texts", ["[V == 0]", '["x->y[0,0] == 1", "x->y[0,0] == 2"]'])
def test_problems_have_their_place_in_the_file(texts: str, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        f"network:\n  nodes: {{x: {{}}, y: {{}}}}\n  edges: [{{from: x, to: y}}]\n  constraints: {texts}\n"
    )
    with pytest.raises(SpecError) as caught:
        graphbptt.load(file).compile(backend="numpy")
    assert all(str(problem.place) == f"{file}:4:16" for problem in caught.value.problems)
