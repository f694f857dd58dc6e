"""Penalties: terms of the loss that want states, or parameters, to be small.

    penalty := Penalty(l1, l2)              l1 * the sum of |x| + l2 * half the sum of x**2
    term    := StatePenalty(node, penalty)  a term of the loss, beside the targets

That of a node is summed over its units and averaged over all (example, step) pairs, padding left out, like the loss of
a target; clamped states count as the others do, and have no derivative as ever. That of a weight-sharing group is
taken once of the group's own numbers, however many copies there are, and of every loss; its derivative is added to
that of the copies, whether these are added or averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Penalty", "StatePenalty"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Penalty:
    """The factors of the absolute values and of the half squares; it is true if one of them is above 0.

    The derivative of an absolute value at 0 is taken to be 0.

    >>> penalty = Penalty(l1=0.5, l2=2)
    >>> print(penalty)
    0.5 * l1 + 2 * l2
    >>> numbers = np.array([-3.0, 0.0, 1.0])
    >>> total, slope = penalty.measure(numbers)
    >>> float(total), slope.tolist()
    (12.0, [-6.5, 0.0, 2.5])
    """

    l1: float = 0.0
    l2: float = 0.0

    def measure(self, values: Array) -> tuple[Array, Array]:
        """The penalty, summed over the last axis, and its derivative by the values."""
        if not self.l1:
            slope = self.l2 * values
            return 0.5 * _multiply(values, slope), slope
        slope = np.sign(values)
        total = self.l1 * _multiply(values, slope)
        slope *= self.l1
        if self.l2:
            total += 0.5 * self.l2 * _multiply(values, values)
            slope += self.l2 * values
        return total, slope

    def __bool__(self) -> bool:
        return self.l1 != 0 or self.l2 != 0

    def __str__(self) -> str:
        named = (("l1", self.l1), ("l2", self.l2))
        return " + ".join(f"{factor:g} * {name}" for name, factor in named if factor) or "0"


def _multiply(one: Array, other: Array) -> Array:
    """The sums of the products over the last axis."""
    product: Array = np.einsum("...u,...u->...", one, other)
    return product


@dataclass(frozen=True, slots=True)
class StatePenalty:
    """The penalty on the states of a node, at every step and on all units."""

    node: str
    penalty: Penalty

    @property
    def units(self) -> None:
        """All units; as of a target."""
        return None

    @property
    def weight(self) -> float:
        """The factor in the total loss: the penalty holds its own."""
        return 1.0
