"""Penalties, end to end: what they are exactly, where they appear, and what they do not depend on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.cli import run
from graphbptt.declaration.run_schema import Truncation
from graphbptt.errors import SpecError
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.training.dataset import Dataset
from graphbptt.training.evaluation import evaluate, measure_loss
from graphbptt.training.windows import cut_windows

BACKENDS = ("numpy", "reference")
SGD = {"sgd": {"rate": 0.1}}


def draw_graph(node: dict[str, Any] | None = None, edge: dict[str, Any] | None = None) -> nx.DiGraph[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("h", units=3, activation="tanh", **(node or {}))
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "h", **(edge or {}))
    graph.add_edge("h", "y", delay=0)
    return graph


def build(
    backend: str = "numpy", clamps: tuple[graphbptt.Clamp, ...] = (), **attributes: Any
) -> graphbptt.Model:
    inputs, targets = [graphbptt.Clamp("x", "x"), *clamps], [graphbptt.Target("y", "y")]
    return graphbptt.compile(
        draw_graph(**attributes), inputs, targets, backend=backend, dtype="float64", seed=1
    )


def fields(batch: int = 4, steps: int = 6, **more: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(batch, steps, 1)), "y": rng.normal(size=(batch, steps, 1)), **more}


def measure_by_hand(states: np.ndarray, l1: float, l2: float) -> np.ndarray:
    """The penalty of every (example, step) pair."""
    return l1 * np.abs(states).sum(axis=-1) + 0.5 * l2 * (states**2).sum(axis=-1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("penalty", [{"l1": 0.3}, {"l2": 0.7}, {"l1": 0.3, "l2": 0.7}])
def test_on_states_it_is_a_mean_over_real_pairs(backend: str, penalty: dict[str, float]) -> None:
    lengths = np.array([6, 1, 4, 3])
    data = fields(lengths=lengths)
    model, plain = build(backend, node={"penalty": penalty}), build(backend)
    states = plain.run(data)["h"]
    real = np.arange(6) < lengths[:, None]
    by_hand = measure_by_hand(states, penalty.get("l1", 0), penalty.get("l2", 0))[real].mean()
    loss, _ = model.loss_and_gradients(data)
    assert loss == pytest.approx(plain.loss_and_gradients(data)[0] + by_hand, rel=1e-12)
    assert graphbptt.check_gradients(model, data).error < 1e-6


@pytest.mark.parametrize("backend", BACKENDS)
def test_clamped_states_count_and_have_no_derivative(backend: str) -> None:
    """Of three units one is data: it adds a constant."""
    data = fields(h=np.full((4, 6, 1), 5.0))
    clamps = (graphbptt.Clamp("h", "h", units=(1,)),)
    model = build(backend, clamps, node={"penalty": {"l1": 0.5, "l2": 2.0}})
    states = model.run(data)["h"]
    assert (states[..., 1] == 5).all()
    plain, gradients = build(backend, clamps).loss_and_gradients(data)
    loss, with_penalty = model.loss_and_gradients(data)
    assert loss - plain == pytest.approx(measure_by_hand(states, 0.5, 2.0).mean(), rel=1e-12)
    assert not np.allclose(with_penalty["h->h"], gradients["h->h"])
    assert graphbptt.check_gradients(model, data).error < 1e-6


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("combine", ["sum", "mean"])
def test_on_weights_it_is_taken_once(backend: str, combine: str) -> None:
    """Two edges share a group, one of them times -2, over six steps: the group's own numbers count, once and whole."""
    models = []
    for penalty in ({}, {"penalty": {"l1": 0.25, "l2": 0.5}}):
        graph = draw_graph(edge={"tie": {"group": "W", "combine": combine}, **penalty})
        graph.add_edge("h", "g", tie={"group": "W", "scale": -2.0})
        graph.add_edge("g", "y")
        graph.nodes["g"].update(units=3)
        inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
        models.append(graphbptt.compile(graph, inputs, targets, backend, "float64", seed=1))
    (before, gradients), (after, with_penalty) = (model.loss_and_gradients(fields()) for model in models)
    weights = models[1].parameters["W"]
    by_hand = 0.25 * np.abs(weights).sum() + 0.25 * (weights**2).sum()
    assert after - before == pytest.approx(by_hand, rel=1e-11)
    assert models[1].penalties() == pytest.approx({"W": by_hand}, rel=1e-12)
    slope = 0.25 * np.sign(weights) + 0.5 * weights
    np.testing.assert_allclose(with_penalty["W"] - gradients["W"], slope, rtol=1e-9, atol=1e-12)
    assert graphbptt.check_gradients(models[1], fields()).error < 1e-6


def test_biases_initial_states_and_coefficients_have_them_too() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node(
        "h",
        units=2,
        activation="k * tanh(net)",
        bias={"init": [1.0, -2.0], "penalty": {"l1": 1.0}},
        initial={"init": [3.0, 0.0], "penalty": {"l1": 2.0}},
        coefficients={"k": {"init": 0.5, "penalty": {"l2": 8.0}}},
    )
    graph.add_edge("h", "h", weight="scalar", init=-1.5, penalty={"l2": 4.0})
    model = graphbptt.compile(graph, [], [graphbptt.Target("h", "h")], "numpy", "float64")
    assert model.penalties() == pytest.approx({"h.bias": 3, "h.initial": 6, "h.k": 1, "h->h": 4.5})
    data = {"h": np.zeros((1, 3, 2))}
    assert graphbptt.check_gradients(model, data).error < 1e-6
    # The subgradient of an absolute value at 0 is 0.
    model.parameters["h.bias"][...] = 0
    model.parameters["h.initial"][...] = 0
    _, gradients = model.loss_and_gradients(data)
    assert not gradients["h.bias"].any()
    assert not gradients["h.initial"].any()


def test_sparse_weights_have_one_for_each_entry() -> None:
    for storage in ("dense", "csr"):
        sparse = {"sparse": {"edges": [[0, 0], [2, 1]]}, "storage": storage}
        model = build(edge={"weight": sparse, "init": [2.0, -3.0], "penalty": {"l1": 1.0}})
        assert model.penalties() == {"h->h": 5.0}
        assert graphbptt.check_gradients(model, fields()).error < 1e-6


def test_a_spec_and_a_graph_say_it_alike(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "network:\n"
        "  nodes: {x: {}, h: {units: 3, activation: tanh, penalty: {l1: 0.25}}, y: {}}\n"
        "  edges:\n"
        "    - {from: x, to: h, delay: 0}\n"
        "    - {from: h, to: h, penalty: {l1: 0.5, l2: 2}}\n"
        "    - {from: h, to: y, delay: 0}\n"
        "inputs: {x: {field: x}}\n"
        "targets: {y: {field: y}}\n"
    )
    by_hand = draw_graph(node={"penalty": {"l1": 0.25}}, edge={"penalty": {"l1": 0.5, "l2": 2}})
    network = graphbptt.load(spec).compile().network
    assert network == fold_graph(by_hand, [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")])
    assert "population h: 3 units, tanh(net), bias h.bias, initial 0, history 1, penalty 0.25 * l1" in str(
        network
    )
    assert "group h->h: shape (3, 3), sum, init glorot(gain=1), penalty 0.5 * l1 + 2 * l2" in str(network)


def test_the_plan_says_it() -> None:
    text = build(node={"penalty": {"l1": 0.25}}, edge={"penalty": {"l2": 2}}).explain()
    assert "penalty 2 * l2" in text
    assert "0.25 * l1 of the states of h" in text


def test_a_cell_has_it_on_its_state() -> None:
    graph = nx.DiGraph([("x", "h")])
    graph.add_node("h", cell="lstm", units=2, penalty={"l2": 1.0})
    assert [(term.node, str(term.penalty)) for term in fold_graph(graph).terms] == [("h", "1 * l2")]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"node": {"penalty": {}}}, "node h.penalty: a penalty without factors; write {l1: ...}"),
        ({"node": {"penalty": {"l1": -1}}}, "node h.penalty.l1: -1 is out of range; write at least 0"),
        ({"edge": {"penalty": {"l3": 1}}}, "edge h->h.penalty.l3: unknown key"),
        (
            {"edge": {"penalty": {"l1": 1}, "weight": "wire"}},
            "a wire has no weight, so penalty means nothing",
        ),
        (
            {"edge": {"penalty": {"l1": 1}, "trainable": False}},
            "edge h->h.penalty: 'h->h' is not trained, so nothing can make it smaller",
        ),
    ],
)
def test_what_is_no_penalty(attributes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(**attributes)
    assert said in str(caught.value)


def test_data_have_none() -> None:
    graph = draw_graph()
    graph.add_node("x", penalty={"l1": 1})
    with pytest.raises(SpecError, match=r"node x.penalty: all states of x are clamped to data"):
        fold_graph(graph, [graphbptt.Clamp("x", "x")])


def test_tied_weights_that_disagree() -> None:
    graph = draw_graph(edge={"tie": "W", "penalty": {"l1": 1}})
    graph.add_edge("h", "g", tie="W", penalty={"l1": 2})
    graph.add_node("g", units=3)
    with pytest.raises(SpecError) as caught:
        fold_graph(graph)
    assert str(caught.value) == (
        "edge h->h.tie: the members of group 'W' differ in penalty: h->h says 1 * l1, h->g says 2 * l1;"
        " write the same penalty, or write it once"
    )


def test_without_factors_there_is_none() -> None:
    model = build(node={"penalty": {"l1": 0}}, edge={"penalty": {"l2": 0.0}})
    assert model.network == build().network


def test_figures_name_every_penalty() -> None:
    model = build(node={"penalty": {"l1": 0.5}}, edge={"penalty": {"l2": 2.0}})
    data = Dataset(fields(batch=7))
    whole, parts = evaluate(model, data), evaluate(model, data, chunk=2)
    states = model.run(data.fields)["h"]
    assert whole.figures["h"] == {"penalty on states": pytest.approx(measure_by_hand(states, 0.5, 0).mean())}
    assert whole.figures["h->h"] == {
        "penalty on weights": pytest.approx((model.parameters["h->h"] ** 2).sum())
    }
    error = whole.figures["y"]["mean squared error"] / 2
    added = error + whole.figures["h"]["penalty on states"] + whole.figures["h->h"]["penalty on weights"]
    assert whole.loss == pytest.approx(added)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-12)
    assert parts.figures["h"] == pytest.approx(whole.figures["h"], rel=1e-12)
    assert measure_loss(model, data) == pytest.approx(whole.loss, rel=1e-12)
    assert model.loss_and_gradients(data.fields)[0] == pytest.approx(whole.loss, rel=1e-12)


def test_a_run_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(
        "network: {nodes: {y: {penalty: {l1: 1}}}, edges: [{from: y, to: y, penalty: {l2: 1}}]}\n"
        "targets: {y: {field: pattern}}\n"
        "data: {task: {pattern_completion: {units: 1}}, steps: 3, examples: 2}\ntraining: {epochs: 1}\n"
    )
    assert run(["train", "spec.yaml"]) == 0
    figures = json.loads((tmp_path / "runs" / "spec-1" / "figures.json").read_text())
    assert "penalty on states" in str(figures)
    assert "penalty on weights" in str(figures)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_update_has_weight_penalties_whole_and_counts_each_step_once(backend: str) -> None:
    """By hand: windows over the last four of six steps, an update after every two."""
    attributes = {"node": {"penalty": {"l1": 0.5}}, "edge": {"penalty": {"l2": 2.0}}}
    model, other = build(backend, **attributes), build(backend, **attributes)
    data, truncate = fields(), Truncation(steps=4, stride=2)
    graphbptt.train(model, data, optimizer=SGD, epochs=1, batch=4, truncate=dict(truncate), validation=data)
    gradient = np.zeros(other.plan.layout.free)
    counted = []
    for window in cut_windows(other, other.bind(data), truncate):
        counted.append([float(term.count) for term in window.terms])
        other.loss_and_gradient(window, gradient)
        other.vector[: gradient.size] -= 0.1 * gradient
    assert counted == [[8, 8]] * 3
    np.testing.assert_allclose(model.vector, other.vector, rtol=1e-12, atol=1e-14)


def list_losses(node: dict[str, Any], **settings: Any) -> tuple[float, float]:
    """The loss of an epoch in windows of two steps, and by how much the parameters changed in it."""
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y", at="last")]
    model = graphbptt.compile(draw_graph(node=node), inputs, targets, "numpy", "float64", seed=1)
    before = model.vector.copy()
    history = graphbptt.train(
        model, fields(), epochs=1, batch=4, truncate={"steps": 2}, validation=fields(), **settings
    )
    return history.epochs[0].train_loss, float(np.abs(model.vector - before).max())


def test_windows_in_which_only_a_penalty_counts_are_updates() -> None:
    """Adam moves every parameter by about its rate in each: one with the target at the last step, three with both."""
    adam = {"optimizer": {"adam": {"rate": 1e-5}}}
    assert list_losses({}, **adam)[1] == pytest.approx(1e-5, rel=0.1)
    assert list_losses({"penalty": {"l2": 5.0}}, **adam)[1] == pytest.approx(3e-5, rel=0.1)


def test_the_loss_of_windows_is_that_of_the_whole() -> None:
    """Each term is averaged over its own pairs: four at the last step, twenty-four of the states."""
    node = {"penalty": {"l1": 0.5}}
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y", at="last")]
    model = graphbptt.compile(draw_graph(node=node), inputs, targets, "numpy", "float64", seed=1)
    whole = model.loss_and_gradients(fields())[0]
    assert list_losses(node, optimizer={"sgd": {"rate": 1e-30}})[0] == pytest.approx(whole, rel=1e-9)
