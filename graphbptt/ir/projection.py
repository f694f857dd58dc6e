"""What keeps the parameters inside constraints and signs: part of the plan, and numbers alone.

    projection := Projection(constraints, free, matrix, right, gram, components, signs)

The nearest point of the affine set ``A @ x == b`` is ``x - A.T @ pinv(A @ A.T) @ (A @ x - b)``, with A over the free
parameters alone. A falls into connected components, whose equations share no parameter; `gram`, the pseudo-inverse, has
a block for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from graphbptt.errors import Problem
from graphbptt.ir.constraints import Constraint

__all__ = ["Projection", "ProjectionCost"]

Array = npt.NDArray[Any]

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
"""How far from met an equation may be, relative to the size of its terms."""


@dataclass(frozen=True, slots=True)
class ProjectionCost:
    """What an update costs: operations where no sign is touched, and bytes of all that is kept for it."""

    equations: int
    parameters: int
    components: int
    flops: int
    bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """The equations over the flat vector, what solves them, and the sign, 1, -1 or 0, of every free parameter.

    Parameters
    ----------
    matrix : sparse array, shape (equations, parameters)
        All parameters, the fixed ones too.
    right : array, shape (equations,)
    gram : sparse array, shape (equations, equations)
        Zero where all parameters of an equation are fixed.
    components : array of int, shape (equations,)
        To which connected component an equation belongs; -1 where all its parameters are fixed.
    signs : array of int8, shape (free,)
    """

    constraints: tuple[Constraint, ...]
    free: int
    matrix: sparse.csr_array
    right: npt.NDArray[np.float64]
    gram: sparse.csr_array
    components: npt.NDArray[np.int64]
    signs: npt.NDArray[np.int8]

    def __eq__(self, other: object) -> bool:
        """All else follows from these."""
        return isinstance(other, Projection) and (
            (self.constraints, self.free) == (other.constraints, other.free)
            and np.array_equal(self.signs, other.signs)
        )

    def __hash__(self) -> int:
        return hash((self.constraints, self.free, self.signs.tobytes()))

    def measure(self, vector: Array) -> npt.NDArray[np.float64]:
        """The residual ``A @ x - b`` of every equation, in float64."""
        residual: npt.NDArray[np.float64] = self.matrix @ vector.astype(np.float64) - self.right
        return residual

    def find_unmet(self, vector: Array) -> list[tuple[Constraint, float, npt.NDArray[np.int64]]]:
        """The constraints that a vector does not meet, with the largest residual and the equations that are off."""
        residual = np.abs(self.measure(vector))
        scale = abs(self.matrix) @ np.abs(vector.astype(np.float64)) + np.abs(self.right)
        off = ~(residual <= TOLERANCE[vector.dtype.name] * np.maximum(scale, 1))
        unmet, start = [], 0
        for constraint in self.constraints:
            part = slice(start, start := start + constraint.size)
            if off[part].any():
                unmet.append(
                    (constraint, float(residual[part].max()), part.start + np.flatnonzero(off[part]))
                )
        return unmet

    def describe_unmet(self, vector: Array, instead: str) -> list[Problem]:
        """A problem for each constraint that a vector does not meet."""
        return [
            Problem(
                f"constraint {constraint.text}",
                f"the values do not meet it: it is off by {residual:.3g}",
                instead,
            )
            for constraint, residual, _ in self.find_unmet(vector)
        ]

    @property
    def cost(self) -> ProjectionCost:
        """What an update costs."""
        free = self.matrix[:, : self.free]
        touched = len(np.unique(free.indices))
        return ProjectionCost(
            len(self.right),
            touched,
            int(self.components.max(initial=-1)) + 1,
            4 * free.nnz + 2 * self.gram.nnz + int(np.count_nonzero(self.signs)),
            sum(array.nbytes for array in (free.data, free.indices, self.gram.data, self.gram.indices))
            + 8 * (4 * touched + 6 * len(self.right) + free.nnz),
        )
