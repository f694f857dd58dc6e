"""Signs of weights, by which a source excites or inhibits: what connections ask of the numbers of their groups.

sign   := excitatory | inhibitory
demand := Demand(positive, negative)        which numbers of a group may not be negative, which not positive
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from graphbptt.ir.parameters import FrozenArray, Use

__all__ = ["SIGNS", "Demand", "Sign", "demand_sign"]

Flags = npt.NDArray[np.bool_]

Sign = Literal["excitatory", "inhibitory"]

SIGNS: dict[Sign, int] = {"excitatory": 1, "inhibitory": -1}
"""The sign of the weights of a connection."""


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """A flag for all numbers of a group, of shape ``()``, or one for each, flat."""

    positive: Flags
    negative: Flags

    def __or__(self, other: Demand) -> Demand:
        return Demand(self.positive | other.positive, self.negative | other.negative)

    @property
    def contradicts(self) -> bool:
        """Whether some number may have no value but 0."""
        return bool((self.positive & self.negative).any())

    def signs(self, shape: tuple[int, ...]) -> FrozenArray:
        """1, -1 or 0 for the numbers of a group of this shape: one for all where all have the same."""
        signs = self.positive.astype(np.float64) - self.negative
        if (signs == signs.flat[0]).all():
            return FrozenArray(signs.flat[0])
        return FrozenArray(signs.reshape(shape))


def demand_sign(use: Use, sign: Sign, size: int) -> Demand:
    """What a copy of a group of `size` numbers asks of them, if it is to have this sign.

    >>> from graphbptt.ir.indices import IndexMap
    >>> demand_sign(Use("W", -2.0), "excitatory", 3).signs((3,))
    FrozenArray(-1.)
    >>> demand_sign(Use("W", index=IndexMap([2, 0, -1], [1, -1, 1])), "excitatory", 3).signs((3,))
    FrozenArray([-1.,  0.,  1.])
    """
    sign_of_group = SIGNS[sign] * math.copysign(1, use.scale)
    if use.index is None:
        return Demand(np.array(sign_of_group > 0), np.array(sign_of_group < 0))
    positions, factors = use.index.positions, use.index.factors
    signs = np.broadcast_to(sign_of_group * (1 if factors is None else np.sign(factors)), positions.shape)
    there = positions >= 0
    positive, negative = (
        np.bincount(positions[there & flags], minlength=size) > 0 for flags in (signs > 0, signs < 0)
    )
    return Demand(positive, negative)
