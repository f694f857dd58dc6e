"""Kernels of updates against the optimizers as NumPy has them, and the sums that they begin with."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from compiled import load_source
from hypothesis import given
from hypothesis import strategies as st

from graphbptt.codegen.dialect import C
from graphbptt.codegen.kernels.sums import MOST_SUMS, count_threads
from graphbptt.codegen.kernels.update_kernels import REPORT, write_update
from graphbptt.codegen.precision import FLOAT32, FLOAT64, Precision, precision_of
from graphbptt.declaration.choices import OptimizerChoice
from graphbptt.training.optimizers import OPTIMIZERS, clip_norm, make_optimizer, make_rule

BOTH = pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda precision: precision.name)
CHOICES = [
    OptimizerChoice.model_validate({name: options})
    for name, options in (
        ("sgd", {}),
        ("sgd", {"momentum": 0.9}),
        ("sgd", {"momentum": 0.9, "nesterov": True, "rate": 1.0}),
        ("rmsprop", {}),
        ("rmsprop", {"decay": 0.0}),
        ("adam", {"rate": 0.1}),
        ("adam", {"beta1": 0.0, "beta2": 0.0}),
        ("adamw", {"rate": 0.1, "weight_decay": 0.2}),
        ("adamw", {"weight_decay": 0.0}),
    )
]
CHOICE = pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: f"{choice.name} {choice.options}")
Array = np.ndarray[Any, Any]
load = cache(load_source)


class Updates:
    """A rule's kernels with their memory."""

    def __init__(self, choice: OptimizerChoice, limit: float | None, parameters: Array) -> None:
        kernels = write_update(make_rule(choice), limit, {}, precision_of(parameters.dtype), C)
        self.library = load(kernels.text)
        self.parameters = parameters
        self.moments = [np.zeros_like(parameters) for _ in kernels.moments]
        self.progress, self.report = np.zeros(kernels.progress), np.zeros(REPORT)
        self.partial, self.arrived = np.zeros(MOST_SUMS), np.zeros(1, np.uint32)

    def update(self, gradient: Array, losses: Array) -> None:
        size = gradient.size
        self._call(
            self.library.measure_gradient, count_threads(size), size, self.partial, self.arrived, gradient, losses,
            losses.size, self.progress, self.report,
        )  # fmt: skip
        self._call(
            self.library.update_parameters, size, gradient, self.parameters, np.zeros_like(gradient), self.progress,
            self.report, *self.moments,
        )  # fmt: skip

    def _call(self, function: Callable[..., object], *arguments: int | Array) -> None:
        function(
            *(
                ctypes.c_ssize_t(item) if isinstance(item, int) else ctypes.c_void_p(item.ctypes.data)
                for item in arguments
            )
        )


@CHOICE
@BOTH
@pytest.mark.parametrize("limit", [None, 20.0])
def test_many_updates_are_those_of_numpy(
    choice: OptimizerChoice, precision: Precision, limit: float | None
) -> None:
    random = np.random.default_rng(0)
    start = random.normal(size=1500).astype(precision.name)
    updates, rule = Updates(choice, limit, start.copy()), make_optimizer(choice)
    parameters, state = start.copy(), rule.init(start)
    norms = []
    for _ in range(50):
        gradient = (random.exponential() * random.normal(size=start.size)).astype(precision.name)
        updates.update(gradient, np.array([0.5]))
        norms.append(clip_norm(gradient, np.inf if limit is None else limit))
        assert updates.report[0] == pytest.approx(norms[-1], rel=1e-12)
        rule.update(gradient, state, parameters)
        parameters += gradient
    assert limit is None or min(norms) < limit < max(norms)
    moved = np.abs(parameters - start).max()
    tolerance = (2e-5 if precision is FLOAT32 else 1e-13) * (1 + moved)
    np.testing.assert_allclose(updates.parameters, parameters, rtol=0, atol=tolerance)
    assert updates.report[1] == 0
    assert updates.progress[0] == 50
    for name, moment in zip((name for name, _ in make_rule(choice).moments), updates.moments, strict=True):
        np.testing.assert_allclose(moment, state[name], rtol=0, atol=tolerance * np.abs(state[name]).max())


@pytest.mark.parametrize("where", ["loss", "gradient"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_update_is_made_from_what_is_not_finite(name: str, value: float, where: str) -> None:
    updates = Updates(OptimizerChoice.model_validate({name: {}}), 1.0, np.ones(600))
    gradient, losses = np.ones(600), np.ones(2)
    (losses if where == "loss" else gradient)[1] = value
    updates.update(gradient, losses)
    assert (updates.parameters == 1).all()
    assert updates.progress[0] == 0
    assert np.isfinite(updates.report[0]) == (where == "loss")


def test_what_overflows_in_an_update_is_reported() -> None:
    updates = Updates(OptimizerChoice.model_validate({"adam": {}}), None, np.ones(300, np.float32))
    gradient = np.zeros(300, np.float32)
    gradient[299] = 1e30
    updates.update(gradient, np.zeros(1))
    assert np.isfinite(updates.report[0])
    assert updates.report[1] == 1


@given(size=st.integers(1, 3000), seed=st.integers(0, 9), scale=st.sampled_from([1e-30, 1.0, 1e30]))
def test_norms_of_any_length_are_exact(size: int, seed: int, scale: float) -> None:
    """In single precision, where squares of these would overflow or vanish."""
    gradient = (scale * np.random.default_rng(seed).normal(size=size)).astype(np.float32)
    norm_of(gradient, exact=np.sqrt(np.sum(gradient.astype(np.longdouble) ** 2)))


def test_norms_of_more_numbers_than_lanes() -> None:
    gradient = np.random.default_rng(0).normal(size=2_000_003).astype(np.float32)
    norm_of(gradient, exact=np.sqrt(np.sum(gradient.astype(np.longdouble) ** 2)))


def norm_of(gradient: Array, exact: Any, choice: OptimizerChoice = CHOICES[0]) -> None:
    updates = Updates(choice, None, np.zeros_like(gradient))
    updates.update(gradient, np.zeros(1))
    assert updates.report[0] == pytest.approx(float(exact), rel=1e-13)
