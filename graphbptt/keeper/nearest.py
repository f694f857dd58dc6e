"""The nearest point that meets equations and has the right signs.

Without signs it is ``y - A.T @ gram @ (A @ y - b)``. With them it is ``clip(y - A.T @ m)``, for the multipliers m with
which that meets the equations: the minimum of a convex, piecewise quadratic function of m, found by Newton's method
[1]_. Its linear systems, ``A @ D @ A.T`` with the columns D that are not clipped, are solved by conjugate gradients
[2]_, which need products with A alone. Where equations share no parameter the systems are diagonal, solved in one step.

.. [1] L. Qi and J. Sun, "A nonsmooth version of Newton's method", Mathematical Programming 58, 1993, 353-367.
.. [2] M. R. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving linear systems", Journal of Research
   of the National Bureau of Standards 49, 1952, 409-436.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from graphbptt.keeper.equations import Equations, add_product

__all__ = ["NearestPoint"]

Array = npt.NDArray[Any]

EXACT = 1e-13
"""What a residual may be, relative to the largest right side or 1."""

REFINEMENTS = 3
NEWTON_STEPS = 200
HALVINGS = 40

LEAST_WEIGHT = 1e-10
"""Of a clipped number in Newton's systems; where a step does not help, it is raised."""


class NearestPoint:
    """Moves points, in place, to the nearest one; all memory is made once."""

    def __init__(self, equations: Equations, gram: sparse.csr_array, signs: npt.NDArray[np.int8]) -> None:
        self.equations, self.gram = equations, gram
        self.bar = EXACT * max(1.0, float(np.abs(equations.right).max(initial=0)))
        self.signed = bool(signs.any())
        self.lower = np.where(signs > 0, 0.0, -np.inf)
        self.upper = np.where(signs < 0, 0.0, np.inf)
        rows, columns = equations.shape
        self.residual, self.step, self.multipliers = np.empty(rows), np.empty(rows), np.empty(rows)
        self.trial, self.direction, self.image = np.empty(rows), np.empty(rows), np.empty(rows)
        self.preconditioner, self.scratch = np.empty(rows), np.empty(rows)
        self.start, self.free, self.shift = np.empty(columns), np.empty(columns), np.empty(columns)
        self.below, self.clipped = np.empty(columns, np.bool_), np.empty(columns, np.bool_)

    def apply(self, point: Array) -> None:
        """Move a point to the nearest one that meets the equations and has the signs."""
        if self.signed:
            np.copyto(self.start, point)
        self.multipliers.fill(0)
        for _ in range(REFINEMENTS):
            self.equations.measure(point, self.residual)
            if self._is_small():
                break
            self.step.fill(0)
            add_product(self.gram, self.residual, self.step)
            self.multipliers += self.step
            np.negative(self.step, out=self.step)
            self.equations.add_transposed(self.step, point)
        if self.signed and not self._has_signs(point):
            self._apply_signs(point)

    def _is_small(self) -> bool:
        np.abs(self.residual, out=self.scratch)
        return bool(self.scratch.max() <= self.bar)

    def _has_signs(self, point: Array) -> bool:
        np.clip(point, self.lower, self.upper, out=self.shift)
        np.subtract(self.shift, point, out=self.shift)
        return not self.shift.any()

    def _apply_signs(self, point: Array) -> None:
        """Newton's method on the multipliers, from those of the point without signs."""
        value, weight = self._evaluate(self.multipliers, point), LEAST_WEIGHT
        for _ in range(NEWTON_STEPS):
            if self._is_small():
                return
            self._mark_free(point, weight)
            self._solve()
            tried = self._search(point, value)
            if tried is not None:
                np.copyto(self.multipliers, self.trial)
                value, weight = tried, max(LEAST_WEIGHT, weight / 10)
            elif weight < 1:
                value, weight = self._evaluate(self.multipliers, point), min(1.0, weight * 1000)
            else:
                self._evaluate(self.multipliers, point)
                return

    def _search(self, point: Array, value: float) -> float | None:
        """Half the step until it makes the function smaller, whose value it returns; None if it never does."""
        np.abs(self.residual, out=self.scratch)
        before, slope, length = float(self.scratch.max()), float(self.residual @ self.step), 1.0
        for _ in range(HALVINGS):
            np.multiply(self.step, length, out=self.trial)
            self.trial += self.multipliers
            tried = self._evaluate(self.trial, point)
            np.abs(self.residual, out=self.scratch)
            # Near the minimum, the function's own rounding hides what the residual shows.
            if (
                tried <= value - 1e-4 * length * slope and tried < value
            ) or self.scratch.max() < 0.9 * before:
                return tried
            length /= 2
        return None

    def _evaluate(self, multipliers: Array, point: Array) -> float:
        """The point and the residual of these multipliers, and the function that they are to make small."""
        np.negative(multipliers, out=self.image)
        np.copyto(point, self.start)
        self.equations.add_transposed(self.image, point)
        np.clip(point, self.lower, self.upper, out=point)
        self.equations.measure(point, self.residual)
        return 0.5 * float(point @ point) + float(multipliers @ self.equations.right)

    def _solve(self) -> None:
        """``step``, the solution of ``A @ D @ A.T @ step == residual``."""
        self.equations.measure_lengths(self.free, self.preconditioner)
        self.step.fill(0)
        rest = self.trial
        np.copyto(rest, self.residual)
        np.divide(rest, self.preconditioner, out=self.direction)
        square = float(rest @ self.direction)
        first = square
        for _ in range(2 * len(rest)):
            self._apply_system()
            curvature = float(self.direction @ self.image)
            np.multiply(self.direction, self.preconditioner, out=self.scratch)
            # Redundant equations have directions in which nothing changes.
            if not curvature > 1e-13 * float(self.direction @ self.scratch):
                return
            length = square / curvature
            np.multiply(self.direction, length, out=self.scratch)
            self.step += self.scratch
            self.image *= length
            rest -= self.image
            np.divide(rest, self.preconditioner, out=self.scratch)
            square, earlier = float(rest @ self.scratch), square
            if not square > 1e-28 * first:
                return
            self.direction *= square / earlier
            self.direction += self.scratch

    def _mark_free(self, point: Array, weight: float) -> None:
        """D: 1 where a number is not clipped; a small weight where it is, so that the system is never singular."""
        np.equal(self.lower, point, out=self.below)
        np.equal(self.upper, point, out=self.clipped)
        np.logical_or(self.below, self.clipped, out=self.clipped)
        self.free.fill(1)
        np.copyto(self.free, weight, where=self.clipped)

    def _apply_system(self) -> None:
        """``image = A @ D @ A.T @ direction``."""
        self.shift.fill(0)
        self.equations.add_transposed(self.direction, self.shift)
        self.shift *= self.free
        self.equations.multiply(self.shift, self.image)
