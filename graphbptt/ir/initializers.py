"""Distributions of starting values: one table with their numbers, defaults and draw."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.parameters import FrozenArray, Group

__all__ = ["DISTRIBUTIONS", "Distribution", "draw_group"]

Array = npt.NDArray[Any]
Draw = Callable[[np.random.Generator, tuple[int, ...], Mapping[str, float]], Array]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution: the defaults of its numbers, and ``draw(generator, shape, numbers)``.

    The numbers in `spreads` are widths, never negative; those in `ordered` must not descend.
    """

    defaults: Mapping[str, float]
    draw: Draw
    spreads: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()

    def reject(self, numbers: Mapping[str, float]) -> str | None:
        """Why no distribution has these numbers; None if one has."""
        for name in self.spreads:
            if numbers[name] < 0:
                return f"{name} is negative"
        for low, high in itertools.pairwise(self.ordered):
            if numbers[low] > numbers[high]:
                return f"{low} is above {high}"
        return None

    def scale(self, numbers: Mapping[str, float], factor: float) -> dict[str, float]:
        """The numbers of `factor` times a draw.

        >>> DISTRIBUTIONS["uniform"].scale({"low": -1, "high": 3}, -2)
        {'low': -6, 'high': 2}
        """
        scaled = {
            name: value * (abs(factor) if name in self.spreads else factor) for name, value in numbers.items()
        }
        return scaled | dict(zip(self.ordered, sorted(scaled[name] for name in self.ordered), strict=True))


def _glorot(rng: np.random.Generator, shape: tuple[int, ...], numbers: Mapping[str, float]) -> Array:
    """Uniform with variance ``gain**2 * 2 / (fan_in + fan_out)`` (Glorot and Bengio 2010, eq. 16)."""
    fans = shape if len(shape) == 2 else (1, 1)
    limit = numbers["gain"] * math.sqrt(6 / sum(fans))
    return rng.uniform(-limit, limit, shape)


DISTRIBUTIONS: dict[str, Distribution] = {
    "constant": Distribution({"value": 0.0}, lambda _rng, shape, n: np.full(shape, n["value"])),
    "normal": Distribution(
        {"mean": 0.0, "std": 1.0}, lambda rng, shape, n: rng.normal(n["mean"], n["std"], shape), ("std",)
    ),
    "uniform": Distribution(
        {"low": -1.0, "high": 1.0},
        lambda rng, shape, n: rng.uniform(n["low"], n["high"], shape),
        (),
        ("low", "high"),
    ),
    "glorot": Distribution({"gain": 1.0}, _glorot, ("gain",)),
}


def draw_group(group: Group, seed: int) -> Array:
    """The starting value of a group, float64, of its shape.

    The draw depends on the group's name and the seed alone, not on what else the network holds.
    """
    if isinstance(group.init, FrozenArray):
        return np.broadcast_to(group.init.values, group.shape)
    distribution = DISTRIBUTIONS[group.init.name]
    digest = hashlib.sha256(group.name.encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])
    return distribution.draw(rng, group.shape, {**distribution.defaults, **dict(group.init.arguments)})
