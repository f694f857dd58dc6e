"""Pairwise timing: every contender in every round, in turn, after all agree on loss and gradients."""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.registry import Contender

__all__ = ["Timing", "check_agreement", "time_contenders"]

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
SAMPLE_SECONDS = 0.005
"""Calls are repeated within a sample until it lasts this long, so that the clock costs nothing beside them."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds per call of one contender, one number per round."""

    seconds: tuple[float, ...]

    @property
    def minimum(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def check_agreement(contenders: Mapping[str, Contender]) -> float:
    """The largest relative difference from the first contender, norm-wise per array.

    Raises
    ------
    ValueError
        It is above what rounding in this precision explains; names the contender and the array.
    """
    (reference, first), *others = contenders.items()
    loss = first()
    expected = {name: array.copy() for name, array in first.gradients.items()}
    worst = 0.0
    for name, contender in others:
        errors = {"loss": abs(contender() - loss) / abs(loss)}
        for array, gradient in contender.gradients.items():
            norm = np.linalg.norm(expected[array])
            errors[array] = float(np.linalg.norm(gradient - expected[array]) / norm)
        array, error = max(errors.items(), key=lambda item: item[1])
        if not error <= TOLERANCE[expected["bias"].dtype.name]:
            raise ValueError(f"{name} and {reference} differ in {array} by {error:.1e}")
        worst = max(worst, error)
    return worst


def time_contenders(contenders: Mapping[str, Contender], seconds: float, rounds: int) -> dict[str, Timing]:
    """Time all contenders in interleaved rounds: until `rounds` are done, and on for `seconds` in all."""
    repeats = {name: _count_repeats(contender) for name, contender in contenders.items()}
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        for done in itertools.count(1):
            for name in order:
                samples[name].append(_time_calls(contenders[name], repeats[name]))
            order = [*order[1:], order[0]]
            if done >= rounds and time.perf_counter() > end:
                break
    finally:
        gc.enable()
    return {name: Timing(tuple(values)) for name, values in samples.items()}


def _count_repeats(contender: Contender) -> int:
    return max(1, round(SAMPLE_SECONDS / min(_time_calls(contender, 1) for _ in range(3))))


def _time_calls(contender: Contender, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        contender()
    return (time.perf_counter() - start) / repeats
