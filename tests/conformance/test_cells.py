"""Every cell in streaming: one step at a time, in windows, and from batch to batch."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import BACKENDS
from random_cells import TEMPLATES

import graphbptt
from graphbptt.declaration.cells.table import SHIPPED
from graphbptt.model import Model
from graphbptt.training.loop import train

CELLS: list[Any] = [
    {"rnn": {"activation": "softplus"}},
    "lstm",
    {"lstm": {"peepholes": True}},
    {"gru": {"reset": "before"}},
    {"gru": {"reset": "after"}},
    {"leaky": {"tau": 4.0}},
    {"leaky": {"tau": [2.0, 3.0, 4.0, 5.0], "learned": True}},
    {"clockwork": {"periods": [1, 3]}},
    {"clockwork": {"periods": [2, 5]}},
    {"gated": {"squash": "tanh", "lag": 2}},
    {"tower": {"peepholes": True}},
]
MOMENTUM = {"sgd": {"rate": 0.1, "momentum": 0.5}}


def build(cell: Any, backend: str = "numpy") -> Model:
    """x -> h -> y with a cell of four units at h."""
    graph: nx.DiGraph[str] = nx.DiGraph(cells=TEMPLATES)
    graph.add_node("x", units=2)
    graph.add_node("h", cell=cell, units=4, initial="learned", bias=True)
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "y", delay=0)
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    return graphbptt.compile(graph, inputs, targets, backend=backend, dtype="float64", seed=1)


def draw_fields(examples: int, steps: int) -> dict[str, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(examples, steps, 2))
    return {"x": x, "y": np.tanh(x.cumsum(axis=1)[..., :1])}


def test_every_shipped_cell_is_here() -> None:
    assert {next(iter(cell)) if isinstance(cell, dict) else cell for cell in CELLS} >= SHIPPED.keys()


@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_steps_are_the_run_to_the_last_bit(cell: Any, backend: str) -> None:
    model = build(cell, backend)
    x = draw_fields(3, 11)["x"]
    whole = model.run({"x": x})
    for step in range(11):
        states = model.step({"x": x[:, step]})
        for node, series in whole.items():
            assert np.array_equal(states[node], series[:, step]), (node, step)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_truncated_training_agrees_with_the_reference(cell: Any) -> None:
    fields, losses, models = draw_fields(4, 9), [], []
    for backend in (*BACKENDS, "reference"):
        model = build(cell, backend)
        settings: dict[str, Any] = {"optimizer": MOMENTUM, "epochs": 2, "batch": 2}
        history = train(model, fields, truncate={"steps": 4, "stride": 2}, validation=fields, **settings)
        losses.append([epoch.train_loss for epoch in history.epochs])
        models.append(model.vector)
    for loss, vector in zip(losses, models, strict=True):
        np.testing.assert_allclose(loss, losses[-1], rtol=1e-10)
        np.testing.assert_allclose(vector, models[-1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_truncation_to_the_full_length_is_none_bit_for_bit(cell: Any) -> None:
    models = [build(cell), build(cell)]
    for model, truncate in zip(models, (None, {"steps": 9}), strict=True):
        train(model, draw_fields(4, 9), optimizer=MOMENTUM, epochs=3, batch=2, truncate=truncate)
    assert np.array_equal(models[0].vector, models[1].vector)
    assert not np.array_equal(models[0].vector, build(cell).vector)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_batches_go_on_where_the_one_before_ended(cell: Any) -> None:
    """Three pieces of four steps, one after the other, are windows of one long batch; clocks count on."""
    long = draw_fields(2, 12)
    pieces = {name: np.concatenate(np.split(array, 3, axis=1)) for name, array in long.items()}
    models = [build(cell), build(cell)]
    settings: dict[str, Any] = {"optimizer": MOMENTUM, "epochs": 2, "batch": 2, "validation": long}
    train(models[0], long, truncate={"steps": 4}, **settings)
    train(models[1], pieces, stateful=True, **settings)
    assert np.array_equal(models[0].vector, models[1].vector)
