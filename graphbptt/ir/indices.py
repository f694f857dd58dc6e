"""Arrays of indices: how a copy of a parameter is read from it, and where a sparse weight matrix has entries.

    index map := IndexMap(positions, factors)        copy = factors * P.ravel()[positions], 0 where a position is -1
    pattern   := Pattern(rows, columns)              entry k lies at (rows[k], columns[k])

Both may hold millions of numbers, so everything here works on whole arrays, and their text form is a count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["IndexMap", "Indices", "Pattern"]

Array = npt.NDArray[Any]
Indices: TypeAlias = npt.NDArray[np.int64]


def _freeze(values: npt.ArrayLike, dtype: type[np.generic]) -> Array:
    array = np.array(values, dtype)
    array.setflags(write=False)
    return array


def _hash_arrays(*arrays: Array | None) -> int:
    return hash(tuple(None if array is None else (array.shape, array.tobytes()) for array in arrays))


@dataclass(frozen=True, slots=True, eq=False)
class IndexMap:
    """Which number of a parameter each entry of a copy is, and what it is multiplied by.

    Parameters
    ----------
    positions : array of int64
        Of the copy's shape: positions in the parameter's array in C order; -1 for an entry that is always 0.
    factors : array of float64, optional
        Of the same shape; None where all are 1.

    Examples
    --------
    A circulant matrix, which is one vector:

    >>> circulant = IndexMap([[0, 1, 2], [2, 0, 1], [1, 2, 0]])
    >>> circulant.read(np.array([5.0, 6.0, 7.0])).tolist()
    [[5.0, 6.0, 7.0], [7.0, 5.0, 6.0], [6.0, 7.0, 5.0]]
    >>> circulant.add_up(np.ones((3, 3)), 3).tolist()
    [3.0, 3.0, 3.0]
    """

    positions: Indices
    factors: npt.NDArray[np.float64] | None = None
    _hash: int = field(init=False, repr=False)

    def __init__(self, positions: npt.ArrayLike, factors: npt.ArrayLike | None = None) -> None:
        object.__setattr__(self, "positions", _freeze(positions, np.int64))
        object.__setattr__(self, "factors", None if factors is None else _freeze(factors, np.float64))
        object.__setattr__(self, "_hash", _hash_arrays(self.positions, self.factors))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the copy."""
        return self.positions.shape

    @property
    def full(self) -> bool:
        """Whether no entry is always 0."""
        return bool((self.positions >= 0).all())

    def read(self, parameter: Array) -> Array:
        """The copy of a parameter, before the scale of its use."""
        copy = parameter.ravel()[self.positions]
        if self.factors is not None:
            copy = copy * self.factors.astype(copy.dtype)
        return np.where(self.positions >= 0, copy, 0)

    def add_up(self, derivative: Array, size: int) -> Array:
        """The derivative by the `size` numbers of the parameter, flat, from that by the copy: the transpose of `read`.

        It is summed in float64.
        """
        weights = derivative if self.factors is None else derivative * self.factors
        there = self.positions >= 0
        return np.bincount(self.positions[there], weights[there], size)

    def count_entries(self, size: int) -> Indices:
        """How many entries of the copy each of the `size` numbers of the parameter makes, flat."""
        return np.bincount(self.positions[self.positions >= 0], minlength=size)

    def transpose(self) -> IndexMap:
        """The map of the transposed copy."""
        return IndexMap(self.positions.T, None if self.factors is None else self.factors.T)

    def follow(self, inner: IndexMap) -> IndexMap:
        """The map of a copy of a copy: this one reads what `inner` reads from the parameter.

        >>> IndexMap([2, 0], [1.0, 3.0]).follow(IndexMap([5, 6, -1])).positions.tolist()
        [-1, 5]
        """
        there = self.positions >= 0
        positions = np.where(there, inner.positions.ravel()[self.positions], -1)
        if self.factors is None and inner.factors is None:
            return IndexMap(positions)
        factors = np.ones(self.shape) if self.factors is None else self.factors
        if inner.factors is not None:
            factors = factors * inner.factors.ravel()[self.positions]
        return IndexMap(positions, factors)

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, IndexMap):
            return self is other
        return self._hash == other._hash and (
            np.array_equal(self.positions, other.positions) and _equal(self.factors, other.factors)
        )

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        factors = ", factors" if self.factors is not None else ""
        return f"index of shape {self.shape}{factors}"


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Where a sparse matrix has entries: sorted by (row, column), each place once.

    Parameters
    ----------
    rows, columns : array of int64
        The places, one behind the other; rows are those of the source's units, columns of the target's.

    Examples
    --------
    >>> print(Pattern([0, 0, 2], [1, 2, 0]))
    3 entries
    """

    rows: Indices
    columns: Indices
    _hash: int = field(init=False, repr=False)

    def __init__(self, rows: npt.ArrayLike, columns: npt.ArrayLike) -> None:
        object.__setattr__(self, "rows", _freeze(rows, np.int64))
        object.__setattr__(self, "columns", _freeze(columns, np.int64))
        object.__setattr__(self, "_hash", _hash_arrays(self.rows, self.columns))

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.rows.size

    def fits(self, rows: int, columns: int) -> bool:
        """Whether it is in order, and inside a matrix of this shape."""
        if self.rows.shape != self.columns.shape or self.rows.ndim != 1:
            return False
        if not self.size:
            return True
        down, right = np.diff(self.rows), np.diff(self.columns)
        ordered = bool(((down > 0) | ((down == 0) & (right > 0))).all())
        inside = self.rows[0] >= 0 and self.rows[-1] < rows
        return ordered and bool(inside and self.columns.min() >= 0 and self.columns.max() < columns)

    def place(
        self, row_of: Sequence[int] | None, column_of: Sequence[int] | None
    ) -> tuple[Pattern, IndexMap | None]:
        """The pattern with other rows and columns in place of 0, 1, ..., and which entry each of its entries was.

        None stands for no change: of rows and columns, and of the order.

        >>> pattern, order = Pattern([0, 1], [0, 0]).place([5, 2], None)
        >>> pattern.rows.tolist(), order.positions.tolist()
        ([2, 5], [1, 0])
        """
        rows = self.rows if row_of is None else np.asarray(row_of)[self.rows]
        columns = self.columns if column_of is None else np.asarray(column_of)[self.columns]
        order = np.lexsort((columns, rows))
        if (np.diff(order) == 1).all():
            return Pattern(rows, columns), None
        return Pattern(rows[order], columns[order]), IndexMap(order)

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, Pattern):
            return self is other
        return self._hash == other._hash and (
            np.array_equal(self.rows, other.rows) and np.array_equal(self.columns, other.columns)
        )

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f"{self.size} {'entry' if self.size == 1 else 'entries'}"


def _equal(one: Array | None, other: Array | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
