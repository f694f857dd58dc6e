"""Training with parameters that stay on the device: the same course as with those of the host."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from loopback import build

import graphbptt
from graphbptt.backend import Updating
from graphbptt.errors import DivergenceError
from graphbptt.training.loop import History, train
from graphbptt_cupy.executable import DeviceExecutable

OPTIMIZERS: list[dict[str, dict[str, Any]]] = [
    {"sgd": {"rate": 0.1, "momentum": 0.9, "nesterov": True}},
    {"rmsprop": {"rate": 0.01}},
    {"adam": {"rate": 0.02}},
    {"adamw": {"rate": 0.02, "weight_decay": 0.1}},
]


def build_model(on_device: bool, penalty: bool = False, **sign: Any) -> graphbptt.Model:
    """Weights that are shared and averaged, a learned initial state, and penalties."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=2)
    graph.add_node("h", units=3, activation="tanh", initial="learned", noise=0.01)
    graph.add_node("y", units=2)
    kept = {"penalty": {"l1": 0.01, "l2": 0.1}} if penalty else {}
    graph.add_edge("x", "h", delay=0, **sign)
    graph.add_edge("h", "h", tie={"group": "W", "combine": "mean"}, **kept)
    graph.add_edge("h", "h", delay=2, tie={"group": "W", "scale": -0.5, "transpose": True})
    graph.add_edge("h", "y", delay=0, **kept)
    model = graphbptt.compile(
        graph, [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")], "numpy", "float64", seed=3
    )
    if on_device:
        model._executable = build(model.plan, np.float64)
    return model


def draw_fields(examples: int, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    x = random.normal(0, 0.5, (examples, 7, 2))
    return {"x": x, "y": x.cumsum(axis=1), "lengths": random.integers(1, 8, examples)}


def train_both(penalty: bool = False, **settings: Any) -> tuple[list[graphbptt.Model], list[History]]:
    """On the host and on a device."""
    models = [build_model(on_device, penalty) for on_device in (False, True)]
    chosen = {"batch": 4, "seed": 1} | settings
    return models, [train(model, draw_fields(11), **chosen) for model in models]


def assert_same_course(models: list[graphbptt.Model], histories: list[History]) -> None:
    host, device = histories
    for one, other in zip(host.epochs, device.epochs, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, rel=1e-9)
        if one.validation_loss is not None:
            assert other.validation_loss == pytest.approx(one.validation_loss, rel=1e-9)
        assert other.best == one.best
    np.testing.assert_allclose(models[1].vector, models[0].vector, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda choice: next(iter(choice)))
@pytest.mark.parametrize("chosen", ["training", "validation"])
def test_the_course_is_that_of_the_host(
    optimizer: dict[str, Any], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over batches of several shapes, by whichever loss the best parameters are chosen; no gradient comes down."""
    monkeypatch.setattr(DeviceExecutable, "loss_and_gradient", None)
    validation = draw_fields(5, seed=1) if chosen == "validation" else None
    assert_same_course(*train_both(optimizer=optimizer, epochs=6, clip=0.5, validation=validation))


def test_penalties_on_parameters() -> None:
    models, histories = train_both(penalty=True, epochs=4)
    assert models[0].penalties()
    assert_same_course(models, histories)


def test_one_model_is_trained_again_from_the_start_of_its_optimizer() -> None:
    models, _ = train_both(epochs=2)
    assert_same_course(models, [train(model, draw_fields(11), seed=2, batch=4, epochs=2) for model in models])


@pytest.mark.parametrize("settings", [{"truncate": {"steps": 3}}, {"stateful": True, "batch": 11}])
def test_what_goes_on_from_states_is_updated_by_the_host(settings: dict[str, Any]) -> None:
    assert_same_course(*train_both(epochs=2, **settings))


def test_signs_are_kept_by_the_host() -> None:
    model = build_model(on_device=True, sign="excitatory")
    assert isinstance(model._executable, Updating)
    train(model, draw_fields(11), seed=1, batch=4, epochs=2, optimizer={"sgd": {"rate": 1.0}})
    assert (model.parameters["x->h"] >= 0).all()


@pytest.mark.parametrize("rate", [1e10, 1e200])
def test_divergence_is_explained_as_on_the_host(rate: float) -> None:
    messages = []
    for on_device in (False, True):
        model = build_model(on_device)
        with pytest.raises(DivergenceError) as caught:
            train(model, draw_fields(11), seed=1, batch=4, epochs=400, optimizer={"sgd": {"rate": rate}})
        messages.append(str(caught.value))
        assert np.isfinite(model.vector).all()
    assert messages[0] == messages[1]
