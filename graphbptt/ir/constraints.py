"""Linear equalities between parameters.

    constraint := Constraint(text, rows, columns, coefficients, right)

A constraint holds where ``A @ x == right`` for the flat vector x of all parameters, as `graphbptt.ir.layout` lays
them out. A is kept as its entries, ordered by row and column, one an entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from graphbptt.ir.parameters import FrozenArray

__all__ = ["Constraint", "stack_constraints"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """One declared equality: the sparse matrix A by its entries, and the right side.

    `rows` and `columns` are whole numbers, which are exact as the float64 of a `FrozenArray`.
    """

    text: str
    rows: FrozenArray
    columns: FrozenArray
    coefficients: FrozenArray
    right: FrozenArray

    @property
    def size(self) -> int:
        """The number of scalar equalities."""
        return self.right.values.size

    def __str__(self) -> str:
        return f"{self.text} ({self.size} equations)"


def stack_constraints(
    constraints: Sequence[Constraint], size: int
) -> tuple[sparse.csr_array, npt.NDArray[np.float64]]:
    """All constraints as one matrix, of shape (equations, size), and one right side, one below another."""
    if not constraints:
        return sparse.csr_array((0, size)), np.zeros(0)
    starts = np.cumsum([0, *(constraint.size for constraint in constraints)])
    rows = [c.rows.values.astype(np.int64) + start for c, start in zip(constraints, starts, strict=False)]
    columns = [constraint.columns.values.astype(np.int64) for constraint in constraints]
    values = [constraint.coefficients.values for constraint in constraints]
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    matrix = sparse.csr_array(entries, shape=(int(starts[-1]), size))
    return matrix, np.concatenate([constraint.right.values for constraint in constraints])
