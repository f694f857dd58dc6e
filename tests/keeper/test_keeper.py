"""What is kept after every update: the residual of stored numbers, signs, no memory made, nothing lost to rounding."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt


def build_model(*texts: str, units: int = 20, dtype: str = "float32", **node: Any) -> graphbptt.Model:
    graph = nx.DiGraph([("h", "h")], constraints=list(texts))
    graph.nodes["h"].update(units=units, **node)
    return graphbptt.compile(graph, backend="numpy", dtype=dtype)


def push(model: graphbptt.Model, updates: int, size: float = 1e-3) -> None:
    """Updates that all point the same way, out of the constraints, and noise."""
    keeper, rng = model.keep(), np.random.default_rng(0)
    assert keeper is not None
    for _ in range(updates):
        model.vector += size * (0.01 + rng.normal(size=model.vector.shape)).astype(model.vector.dtype)
        keeper.apply()


def test_the_sum_of_many_stored_numbers_is_met() -> None:
    model = build_model("sum(h->h) == 1", units=500)
    push(model, 5)
    assert abs(math.fsum(model.parameters["h->h"].ravel().tolist()) - 1) < 1e-6


def test_what_rounding_leaves_is_not_put_on_a_few_numbers_for_good() -> None:
    model = build_model("sum(h->h) == 1", units=300)
    before = model.parameters["h->h"].copy()
    keeper = model.keep()
    assert keeper is not None
    # An update whose mean is far below the last bit of most numbers, so that taking it off again changes few of them.
    for _ in range(200):
        model.vector[:90_000] += np.float32(1e-5) * np.sign(before.ravel())
        model.vector[:90_000] -= np.float32(1e-5) * np.sign(before.ravel())
        model.vector[0] += np.float32(1e-4)
        keeper.apply()
    moved = np.delete(np.abs(model.parameters["h->h"] - before).ravel(), 0)
    # One number is pushed, and what it gains is taken off all others alike. What is put on one number is what all
    # others are rounded by at the moment, not what they have been at all updates together.
    assert np.median(moved) == pytest.approx(200 * 1e-4 / 90_000, rel=0.05)
    assert moved.max() < 2e-4


@pytest.mark.parametrize(("dtype", "bar"), [("float32", 1e-6), ("float64", 1e-12)])
def test_signs_and_equations_hold_after_ten_thousand_updates(dtype: str, bar: float) -> None:
    model = build_model("sum(h->h, axis=0) == 1", units=4, dtype=dtype, sign="excitatory")
    push(model, 10_000, size=0.02)
    assert model.plan.projection is not None
    assert np.abs(model.plan.projection.measure(model.vector)).max() < bar
    weights = model.parameters["h->h"]
    assert weights.min() >= 0


@pytest.mark.parametrize(
    ("texts", "node"),
    [
        (["h->h == -h->h.T"], {}),
        (["sum(h->h, axis=0) == 1", "sum(h->h, axis=1) == 1"], {}),
        (["sum(h->h, axis=0) == 1"], {"sign": "excitatory"}),
        ([], {"sign": "inhibitory"}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_allocated(texts: list[str], node: dict[str, Any], dtype: str) -> None:
    model = build_model(*texts, units=150, dtype=dtype, **node)
    keeper = model.keep()
    assert keeper is not None
    push(model, 2)
    keeper.apply()
    model.vector += np.random.default_rng(1).normal(size=model.vector.shape).astype(dtype)
    tracemalloc.start()
    keeper.apply()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # What does not grow with the parameters: objects of a few bytes, and the buffer of a cast.
    assert peak < 10_000 < model.vector.nbytes / 5


def test_the_cost_is_told() -> None:
    text = build_model("h->h == -h->h.T", sign=None, units=3).explain()
    assert "9 equations in 6 components, over 9 parameters" in text
    assert "the signs of" not in text
    assert "the signs of 9 parameters" in build_model(units=3, sign="excitatory").explain()
    assert "after every update" not in build_model(units=3).explain()


def test_no_update_changes_nothing() -> None:
    model = build_model("sum(h->h, axis=0) == 1", sign="excitatory")
    keeper = model.keep()
    assert keeper is not None
    keeper.apply()
    before = model.vector.copy()
    keeper.apply()
    np.testing.assert_array_equal(model.vector, before)
