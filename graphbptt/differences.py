"""Difference quotients of a function by one of the numbers that it reads, in float64.

    stencil := ((offset, weight), ...)      f'(p) = sum(weight * f(p + offset * step)) / step + O(step ** 4)

(Fornberg 1988, *Generation of finite difference formulas on arbitrarily spaced grids*). The central stencil takes the
derivative from both sides. Where the function has a kink, as that of a rectified unit at 0, its derivative jumps from
that on the left to that on the right; a subgradient is anything between them (Clarke 1975, *Generalized gradients and
applications*), and the one-sided stencils say what these are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy.typing as npt

__all__ = ["Curve", "Expected"]

Array = npt.NDArray[Any]
Stencil = tuple[tuple[int, float], ...]

CENTRAL: Stencil = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))
RIGHT: Stencil = ((0, -25 / 12), (1, 4.0), (2, -3.0), (3, 4 / 3), (4, -1 / 4))
LEFT: Stencil = tuple((-offset, -weight) for offset, weight in RIGHT)

WIDTHS = (16.0, 1.0, 1 / 16)
"""The spacings tried, in units of the one asked for."""

CLOSE = (1 / 16, 1 / 64, 1 / 256, 1 / 1024)
"""The spacings of a closer look, in the same units: kinks that lie farther away than four of these are not seen."""

NOISE = 64.0
"""How many roundings of a value a one-sided quotient may hold, divided by the spacing: its weights, without their
signs, add up to 11, and a loss is off by some roundings itself."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The derivative that is expected, and whether it is one of a kink, the nearest between those of its two sides."""

    value: float
    at_kink: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A sum of functions, each with its factor, as a function of one number of the vector that they read.

    `rounding` is that of the functions' values.
    """

    parts: tuple[tuple[float, Callable[[], float]], ...]
    vector: Array
    index: int
    spacing: float
    rounding: float

    def differentiate(self) -> float:
        """The central quotient of the spacing that suits each function.

        A narrow spacing lets rounding show; it is used where the function bends so sharply that the wider ones still
        err, which shows in changes that shrink with the spacing (by its fourth power).
        """
        return sum(factor * self._differentiate(measure) for factor, measure in self.parts)

    def look_closer(self, computed: float, tolerance: float) -> Expected | None:
        """What is expected where `computed` is farther than `tolerance` from the central quotient.

        That is a narrower quotient if a kink lay only near, or else, if the number is on a kink, what is nearest to
        `computed` between the derivatives of its two sides. None where there is nothing more to say.
        """
        for width in CLOSE[:-1]:
            quotient = self._divide(CENTRAL, width)
            if abs(computed - quotient) <= tolerance:
                return Expected(quotient)
        found = None
        sides = ((width, self._divide(LEFT, width), self._divide(RIGHT, width)) for width in CLOSE)
        for (_, *wide), (width, *narrow) in pairwise(sides):
            if self._is_kink(wide, narrow, width, tolerance):
                noise = self._bound_noise(width)
                found = Expected(min(max(computed, min(narrow) - noise), max(narrow) + noise), at_kink=True)
                if found.value == computed:
                    break
        return found

    def _is_kink(self, wide: list[float], narrow: list[float], width: float, tolerance: float) -> bool:
        """Whether the slopes of the two sides differ, and as much at the wider spacing as at the narrower one, `width`.

        Where the function bends the gap shrinks with the spacing, and where it jumps it grows.
        """
        before, gap = wide[1] - wide[0], narrow[1] - narrow[0]
        return abs(gap) > max(tolerance, 2 * self._bound_noise(width)) and 3 / 4 <= before / gap <= 4 / 3

    def _bound_noise(self, width: float) -> float:
        """How far a one-sided quotient may be off by the rounding of the functions' values."""
        return NOISE * self.rounding / (width * self.spacing)

    def _differentiate(self, measure: Callable[[], float]) -> float:
        wide, middle, narrow = (self._divide_part(measure, CENTRAL, width) for width in WIDTHS)
        return narrow if WIDTHS[0] * abs(middle - narrow) < abs(wide - middle) else middle

    def _divide(self, stencil: Stencil, width: float) -> float:
        return sum(factor * self._divide_part(measure, stencil, width) for factor, measure in self.parts)

    def _divide_part(self, measure: Callable[[], float], stencil: Stencil, width: float) -> float:
        """The quotient of one function by the number, which is left as it was."""
        value = self.vector[self.index]
        # A power of two, so that the number and its neighbours differ by exactly this.
        step = 2.0 ** round(math.log2(width * self.spacing * max(1.0, abs(value))))
        total = 0.0
        for offset, weight in stencil:
            self.vector[self.index] = value + offset * step
            total += weight * measure()
        self.vector[self.index] = value
        return total / step
