"""Sparse equations ``A @ x == b``, evaluated in memory that is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import _sparsetools as sparsetools

__all__ = ["Equations", "add_product"]

Array = npt.NDArray[Any]


def add_product(matrix: sparse.csr_array, vector: Array, out: Array) -> None:
    """``out += matrix @ vector``, which SciPy's public product would allocate."""
    sparsetools.csr_matvec(*matrix.shape, matrix.indptr, matrix.indices, matrix.data, vector, out)


class Equations:
    """A with at least one entry in every row, by its entries row by row, and b."""

    def __init__(self, matrix: sparse.csr_array, right: Array) -> None:
        self.shape = matrix.shape
        self.starts, self.positions, self.values = matrix.indptr, matrix.indices, matrix.data
        self.right = right
        self._first = self.starts[:-1].astype(np.intp)
        self._terms = np.empty_like(self.values)
        self._squares = self.values**2
        turned = matrix.tocsc()
        self._turned = turned.indptr, turned.indices, turned.data

    def measure(self, point: Array, out: Array) -> None:
        """The residual ``A @ x - b``; NumPy adds up the terms of a row in pairs, so that little is lost."""
        self.multiply(point, out)
        out -= self.right

    def multiply(self, point: Array, out: Array) -> None:
        """``A @ x``."""
        point.take(self.positions, out=self._terms, mode="clip")
        self._terms *= self.values
        np.add.reduceat(self._terms, self._first, out=out)

    def add_transposed(self, multipliers: Array, out: Array) -> None:
        """``out += A.T @ m``."""
        rows, columns = self.shape
        sparsetools.csc_matvec(columns, rows, self.starts, self.positions, self.values, multipliers, out)

    def measure_lengths(self, free: Array, out: Array) -> None:
        """The squared length of every row, over the columns that are marked by 1."""
        free.take(self.positions, out=self._terms, mode="clip")
        self._terms *= self._squares
        np.add.reduceat(self._terms, self._first, out=out)

    def add_change(self, position: int, change: float, residual: Array) -> None:
        """Bring a residual up to date after one number of the point has changed."""
        starts, rows, values = self._turned
        for entry in range(starts[position], starts[position + 1]):
            residual[rows[entry]] += values[entry] * change
