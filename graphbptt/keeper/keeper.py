"""Keeps a vector of parameters at the nearest point that meets constraints and signs; all memory is made once.

Numbers that constraints touch are kept in double precision beside the stored ones, and every update is added to these:
so an update too small for a stored number is not lost, and what the rounding of many stored numbers adds up to is
corrected on few of them without adding up over updates.

The state of an optimizer needs no projection. Its update is projected as a whole, whatever it is made of; and where the
update is linear in the state, as with momentum, a projected state would give the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.projection import Projection
from graphbptt.keeper.equations import Equations
from graphbptt.keeper.nearest import NearestPoint

__all__ = ["Keeper"]

Array = npt.NDArray[Any]

BAR = 2e-7
"""Rounding is corrected where it leaves more than this."""

FEW = 8
"""The most numbers of an equation that are changed for that."""


class Keeper:
    """A projection bound to a flat vector, which it reads once as it is; parameters that are not trained stay so.

    Where a vector is already at the nearest point, as after every `apply`, the next one projects the update alone.
    """

    def __init__(self, projection: Projection, vector: Array) -> None:
        part = projection.matrix[:, : projection.free].tocsr()
        part.eliminate_zeros()
        fixed = projection.matrix[:, projection.free :] @ vector[projection.free :].astype(np.float64)
        rows = np.flatnonzero(np.diff(part.indptr))
        columns = np.unique(part.indices)
        self.vector, self.columns, self.signs = vector, columns, projection.signs[columns]
        self._bound_others(projection.signs)
        self.equations = Equations(part[rows][:, columns], (projection.right - fixed)[rows])
        self.nearest = NearestPoint(self.equations, projection.gram[rows][:, rows].tocsr(), self.signs)
        self.now, self.stored = vector[columns], vector[columns]
        # As they are exactly, as they are stored, and what has been added to these meanwhile.
        self.exact, self.rounded = self.stored.astype(np.float64), self.stored.astype(np.float64)
        self.change, self.residual = np.empty_like(self.exact), np.empty(len(rows))
        self.sizes, self.size = np.empty_like(self.equations.values), np.empty(len(rows))
        # A number of one equation alone can be changed without disturbing another.
        shared = np.bincount(self.equations.positions, minlength=len(columns)) > 1
        self.penalties = np.where(shared[self.equations.positions], 1e30, 0.0)

    def _bound_others(self, signs: npt.NDArray[np.int8]) -> None:
        """The bounds of signed parameters that no equation touches, over the least part that holds them."""
        alone = signs.copy()
        alone[self.columns] = 0
        places = np.flatnonzero(alone)
        self.part = slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)
        self.lower = np.where(alone[self.part] > 0, 0, -np.inf).astype(self.vector.dtype)
        self.upper = np.where(alone[self.part] < 0, 0, np.inf).astype(self.vector.dtype)

    def apply(self) -> None:
        """Move the vector to the nearest point."""
        part = self.vector[self.part]
        np.maximum(part, self.lower, out=part)
        np.minimum(part, self.upper, out=part)
        if not len(self.columns):
            return
        self.vector.take(self.columns, out=self.now, mode="clip")
        np.copyto(self.change, self.now)
        self.change -= self.rounded
        self.exact += self.change
        self.nearest.apply(self.exact)
        np.copyto(self.stored, self.exact, casting="same_kind")
        np.copyto(self.rounded, self.stored)
        if self.stored.dtype != np.float64:
            self._correct_rounding()
        self.vector[self.columns] = self.stored

    def _correct_rounding(self) -> None:
        """Where the stored numbers together miss an equation, change the smallest of them, which are the finest."""
        self.equations.measure(self.rounded, self.residual)
        np.abs(self.residual, out=self.size)
        if self.size.max() <= BAR:
            return
        for row in np.flatnonzero(self.size > BAR).tolist():
            part = slice(self.equations.starts[row], self.equations.starts[row + 1])
            positions, values = self.equations.positions[part], self.equations.values[part]
            sizes = self.sizes[part]
            self.rounded.take(positions, out=sizes, mode="clip")
            np.abs(sizes, out=sizes)
            sizes += self.penalties[part]
            for _ in range(min(FEW, len(sizes))):
                if abs(self.residual[row]) <= BAR:
                    break
                least = int(sizes.argmin())
                sizes[least] = np.inf
                self._change(int(positions[least]), self.residual[row] / values[least])

    def _change(self, position: int, step: float) -> None:
        """Take a step off a stored number, unless it stands at zero for its sign or would lose it."""
        before = float(self.rounded[position])
        after = float(self.stored.dtype.type(before - step))
        sign = self.signs[position]
        if sign and (before == 0 or after * sign < 0):
            return
        self.stored[position] = self.rounded[position] = after
        self.equations.add_change(position, after - before, self.residual)
