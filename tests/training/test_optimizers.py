"""Each optimizer against its own formula, on plain functions."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from graphbptt.declaration.choices import OptimizerChoice
from graphbptt.training.optimizers import OPTIMIZERS, Optimizer, clip_norm, make_optimizer

CURVATURE = np.array([1.0, 10.0, 0.1])


def choose(name: str, **options: object) -> Optimizer:
    return make_optimizer(OptimizerChoice.model_validate({name: options}))


def descend(rule: Optimizer, steps: int, start: float = 1.0) -> np.ndarray:
    """Every position on the way down a bowl; their gradient is ``CURVATURE * x``."""
    x = np.full(3, start)
    state = rule.init(x)
    path = [x.copy()]
    for _ in range(steps):
        gradient = CURVATURE * x
        rule.update(gradient, state, x)
        x += gradient
        path.append(x.copy())
    return np.array(path)


def test_the_schema_and_the_table_name_the_same_optimizers() -> None:
    assert set(OPTIMIZERS) == set(OptimizerChoice.model_fields)


def test_sgd() -> None:
    path = descend(choose("sgd", rate=0.05), 3)
    np.testing.assert_allclose(path[3], (1 - 0.05 * CURVATURE) ** 3)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum(nesterov: bool) -> None:
    path = descend(choose("sgd", rate=0.05, momentum=0.9, nesterov=nesterov), 5)
    x, velocity = np.ones(3), np.zeros(3)
    for step in range(5):
        np.testing.assert_allclose(path[step], x)
        velocity = 0.9 * velocity + CURVATURE * x
        x = x - 0.05 * (CURVATURE * x + 0.9 * velocity if nesterov else velocity)


def test_rmsprop() -> None:
    path = descend(choose("rmsprop", rate=0.1, decay=0.8, epsilon=1e-6), 4)
    x, square = np.ones(3), np.zeros(3)
    for step in range(4):
        np.testing.assert_allclose(path[step], x)
        gradient = CURVATURE * x
        square = 0.8 * square + 0.2 * gradient**2
        x = x - 0.1 * gradient / (np.sqrt(square) + 1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adam_and_its_weight_decay(decay: float) -> None:
    name, options = ("adamw", {"weight_decay": decay}) if decay else ("adam", {})
    path = descend(choose(name, rate=0.1, beta1=0.8, beta2=0.95, epsilon=1e-6, **options), 4)
    x, mean, square = np.ones(3), np.zeros(3), np.zeros(3)
    for step in range(1, 5):
        np.testing.assert_allclose(path[step - 1], x)
        gradient = CURVATURE * x
        mean = 0.8 * mean + 0.2 * gradient
        square = 0.95 * square + 0.05 * gradient**2
        corrected = mean / (1 - 0.8**step), square / (1 - 0.95**step)
        x = x - 0.1 * (corrected[0] / (np.sqrt(corrected[1]) + 1e-6) + decay * x)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_down(name: str) -> None:
    path = descend(choose(name, rate=0.05), 300)
    height = (CURVATURE * path**2).sum(axis=1)
    assert height[-1] < 0.01 * height[0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_makes_no_array_and_keeps_the_type(name: str) -> None:
    x = np.ones(100_000, np.float32)
    rule = choose(name, **({"momentum": 0.9, "nesterov": True} if name == "sgd" else {}))
    state = rule.init(x)
    assert len(state["scratch"]) <= 2
    gradient = np.ones_like(x)
    rule.update(gradient, state, x)
    assert gradient.dtype == np.float32
    tracemalloc.start()
    rule.update(gradient, state, x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes / 10


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_shrinks_to_the_limit_and_no_further(limit: float) -> None:
    gradient = np.array([3.0, -4.0, 12.0])
    direction = gradient / 13
    assert clip_norm(gradient, limit) == pytest.approx(13)
    np.testing.assert_allclose(gradient, direction * min(limit, 13))


def test_clipping_survives_squares_that_overflow() -> None:
    gradient = np.full(4, 1e30, np.float32)
    assert clip_norm(gradient, 1.0) == pytest.approx(2e30)
    np.testing.assert_allclose(gradient, 0.5, rtol=1e-6)
