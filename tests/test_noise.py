"""Noise of states, end to end: when it is there, what it is drawn from, and what it does not depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.declaration.run_schema import Truncation
from graphbptt.errors import DataError, SpecError
from graphbptt.ir.noise import Noise, draw_noise
from graphbptt.passes.cut_batch import cut_batch
from graphbptt.training.dataset import Dataset
from graphbptt.training.evaluation import evaluate, measure_loss
from graphbptt.training.windows import cut_windows

BACKENDS = ("numpy", "reference")


def noisy(backend: str = "numpy", **attributes: Any) -> graphbptt.Model:
    graph: nx.DiGraph[str] = nx.DiGraph([("x", "h"), ("h", "h"), ("h", "y")])
    graph.add_node("h", **{"units": 5, "activation": "tanh", "noise": 0.3, **attributes})
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    return graphbptt.compile(graph, inputs, targets, backend=backend, dtype="float64")


def fields(batch: int = 3, steps: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(batch, steps, 1)), "y": rng.normal(size=(batch, steps, 1))}


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_added_to_net(backend: str) -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("h", units=3, noise=0.5)
    model = graphbptt.compile(graph, backend=backend, dtype="float64", seed=4)
    states = model.run({}, steps=5)["h"]
    np.testing.assert_allclose(
        states[0], 0.5 * draw_noise(Noise(4), "h", range(1, 6), 1, 3)[:, 0], rtol=1e-14
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_seed_says_what_is_drawn(backend: str) -> None:
    model = noisy(backend)
    own, again, seed = (model.run(fields(), noise=noise)["h"] for noise in (True, 0, 1))
    np.testing.assert_array_equal(own, again)
    assert not np.array_equal(own, seed)
    quiet = noisy(backend, noise=0)
    np.testing.assert_allclose(model.run(fields(), noise=False)["h"], quiet.run(fields())["h"], atol=1e-14)
    without = model.loss_and_gradients(fields(), noise=False)[0]
    assert without == pytest.approx(quiet.loss_and_gradients(fields())[0], rel=1e-12)
    assert model.loss_and_gradients(fields(), noise=1)[0] != model.loss_and_gradients(fields())[0]


@pytest.mark.parametrize("activation", ["logistic", "softplus", "0.9 * h[t-1] + 0.1 * net"])
def test_derivatives_hold_for_the_draw(activation: str) -> None:
    model = noisy(activation=activation)
    assert graphbptt.check_gradients(model, fields()).error < 1e-6


@pytest.mark.parametrize("noise", [-1, 0.5, "on", None])
def test_what_is_no_noise(noise: Any) -> None:
    with pytest.raises(DataError, match="is no noise; write True, False, or a seed"):
        noisy().run(fields(), noise=noise)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_later_stretch_of_steps_has_the_noise_of_its_steps(backend: str) -> None:
    model = noisy(backend)
    batch = model.bind(fields(), noise=3)
    whole = model.states(batch)["h"]
    model.losses(batch)
    rest = cut_batch(model.network, batch, 2, 6, carried=model.carry(2, 2))
    np.testing.assert_allclose(model.states(rest)["h"], whole[:, 2:], rtol=1e-13)


def test_no_figure_depends_on_how_many_examples_are_run_at_a_time() -> None:
    model, data = noisy(), Dataset(fields(batch=7))
    whole, parts = evaluate(model, data), evaluate(model, data, chunk=2)
    assert whole.loss == pytest.approx(parts.loss, rel=1e-12)
    assert whole.figures["y"] == pytest.approx(parts.figures["y"], rel=1e-12)
    assert measure_loss(model, data, chunk=3) == pytest.approx(whole.loss, rel=1e-12)
    assert evaluate(model, data, noise=False).loss != pytest.approx(whole.loss, rel=1e-3)


def train(model: graphbptt.Model, **settings: Any) -> tuple[float, ...]:
    done = graphbptt.train(model, fields(8), epochs=3, batch=4, **settings)
    return tuple(epoch.train_loss for epoch in done.epochs)


def test_training_draws_anew_for_every_batch_and_alike_in_every_run() -> None:
    frozen = {"optimizer": {"sgd": {"rate": 1e-30}}}
    assert len(set(np.round(train(noisy(), **frozen), 9))) == 3
    assert len(set(np.round(train(noisy(noise=0), **frozen), 9))) == 1
    assert train(noisy()) == train(noisy())
    assert train(noisy(), seed=1) != train(noisy(), seed=2)


def test_windows_of_one_batch_share_their_noise() -> None:
    whole = train(noisy())
    assert train(noisy(), truncate={"steps": 6}) == whole
    still = {"optimizer": {"sgd": {"rate": 1e-30}}}
    np.testing.assert_allclose(
        train(noisy(), truncate={"steps": 4, "stride": 2}, **still), train(noisy(), **still)
    )


def test_what_is_run_again_draws_the_same() -> None:
    """The second window begins with steps of the first one: their states, and so their noise, are the same bits."""
    model = noisy()
    batch = model.bind(fields(), noise=7)
    windows = cut_windows(model, batch, Truncation(steps=4, stride=2))
    seen = [(window.offset, model.states(window)["h"]) for window in windows]
    whole = model.states(batch)["h"]
    assert [offset for offset, _ in seen] == [0, 0, 2]
    for offset, states in seen:
        assert np.array_equal(states, whole[:, offset : offset + states.shape[1]])


def test_differences_share_their_draw() -> None:
    model = noisy()
    reports = [graphbptt.check_gradients(model, fields(), noise=noise) for noise in (True, 3, False)]
    assert all(report.error < 1e-6 for report in reports)
    losses = [model.loss_and_gradients(fields(), noise=noise)[0] for noise in (True, 3, False)]
    assert [report.loss for report in reports] == pytest.approx(losses, rel=1e-12)


def test_it_is_in_every_text() -> None:
    model = noisy()
    assert "noise 0.3" in str(model.network)
    assert "+= 0.3 * noise of h" in model.explain()


def test_a_node_that_reads_no_net_input_takes_none() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("h", activation="tanh(h[t-1])", noise=0.1)
    with pytest.raises(
        SpecError, match=r"node h.noise: noise adds to the net input, which the activation does not"
    ):
        graphbptt.compile(graph)


def test_data_have_none() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph([("x", "h")])
    graph.add_node("x", noise=0.1)
    with pytest.raises(SpecError, match=r"node x.noise: all states of x are clamped to data"):
        graphbptt.compile(graph, [graphbptt.Clamp("x", "x")])
    graphbptt.compile(graph, [graphbptt.Clamp("x", "x", at="start")])


def test_a_spec_says_it_too(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("network: {nodes: {h: {units: 2, noise: 0.25}}}\n")
    assert graphbptt.load(spec).compile().network.population["h"].noise == 0.25
    spec.write_text("network: {nodes: {h: {units: 2, noise: -1}}}\n")
    with pytest.raises(SpecError, match=r"spec.yaml:1:\d+: network.nodes.h.noise"):
        graphbptt.load(spec)


@pytest.mark.parametrize("backend", BACKENDS)
def test_single_steps_have_the_noise_of_a_run(backend: str) -> None:
    model, data = noisy(backend), fields()
    whole = model.run(data, noise=5)["h"]
    for step in range(6):
        states = model.step({"x": data["x"][:, step]}, noise=5)["h"]
        np.testing.assert_array_equal(states, whole[:, step])
