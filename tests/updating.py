"""Training with parameters that stay on a device, beside that of the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.training.loop import History, train
from graphbptt_cupy.executable import DeviceExecutable

__all__ = ["OPTIMIZERS", "assert_same_course", "build_model", "draw_fields", "train_both"]

Build = Callable[..., DeviceExecutable]

OPTIMIZERS: list[dict[str, dict[str, Any]]] = [
    {"sgd": {"rate": 0.1, "momentum": 0.9, "nesterov": True}},
    {"rmsprop": {"rate": 0.01}},
    {"adam": {"rate": 0.02}},
    {"adamw": {"rate": 0.02, "weight_decay": 0.1}},
]


def build_model(
    build: Build | None, penalty: bool = False, noise: float = 0.01, **sign: Any
) -> graphbptt.Model:
    """Weights that are shared and averaged, a learned initial state, and penalties; run by what `build` makes of it."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=2)
    graph.add_node("h", units=3, activation="tanh", initial="learned", noise=noise)
    graph.add_node("y", units=2)
    kept = {"penalty": {"l1": 0.01, "l2": 0.1}} if penalty else {}
    graph.add_edge("x", "h", delay=0, **sign)
    graph.add_edge("h", "h", tie={"group": "W", "combine": "mean"}, **kept)
    graph.add_edge("h", "h", delay=2, tie={"group": "W", "scale": -0.5, "transpose": True})
    graph.add_edge("h", "y", delay=0, **kept)
    model = graphbptt.compile(
        graph, [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")], "numpy", "float64", seed=3
    )
    if build is not None:
        model._executable = build(model.plan, np.float64)
    return model


def draw_fields(examples: int, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    x = random.normal(0, 0.5, (examples, 7, 2))
    return {"x": x, "y": x.cumsum(axis=1), "lengths": random.integers(1, 8, examples)}


def train_both(
    build: Build, penalty: bool = False, **settings: Any
) -> tuple[list[graphbptt.Model], list[History]]:
    """On the host and on a device."""
    models = [build_model(kind, penalty) for kind in (None, build)]
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
