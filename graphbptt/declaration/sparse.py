"""Sparse weights and index maps as they are written, read into arrays at once: they may have millions of entries.

    sparse  := {sparse: pattern, storage: dense | csr}
    pattern := {density: share} | {mask: [[0 or 1, ...], ...]} | {edges: [[row, column], ...]}
    index   := position | null | [index, ...]           null, or -1, for an entry that is always 0

Hand-built graphs may hold NumPy arrays, and SciPy's sparse matrices as masks and edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from pydantic import ConfigDict, Field, PlainValidator, model_validator

from graphbptt.declaration.choices import Section
from graphbptt.declaration.values import Real, mistake
from graphbptt.ir.folded import Storage
from graphbptt.ir.indices import IndexMap, Indices, Pattern

__all__ = ["Index", "Places", "SparsePattern", "SparseWeight", "read_index"]

LARGEST_POSITION = 2**31
"""No parameter has this many numbers."""


@dataclass(frozen=True, slots=True)
class Places:
    """A pattern as it was written.

    `shape` is that of a mask, None for edges. `order` gives, for each entry of the sorted pattern, which of the edges
    as written it is; None where they are sorted already.
    """

    pattern: Pattern
    shape: tuple[int, int] | None = None
    order: IndexMap | None = None

    @property
    def extent(self) -> tuple[int, int]:
        """The least shape of a matrix that has these entries."""
        return int(self.pattern.rows.max()) + 1, int(self.pattern.columns.max()) + 1


def _read_whole_numbers(value: Any, what: str) -> npt.NDArray[np.int64]:
    """A nested list, or an array, of whole numbers."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        raise mistake(f"the rows of this {what} differ in length", "write rows of one length") from None
    if array.size == 0:
        raise mistake(f"this {what} is empty", "list at least one entry")
    if array.dtype.kind not in "iu" or (array.dtype.kind == "u" and array.max() > np.iinfo(np.int64).max):
        raise mistake(
            f"this {what} does not hold whole numbers alone", "write whole numbers that count from 0"
        )
    return array.astype(np.int64)


def _read_mask(value: Any) -> Places | None:
    if value is None or isinstance(value, Places):
        return value
    if scipy.sparse.issparse(value):
        rows, columns, numbers, shape = _list_stored(value)
    else:
        try:
            array = np.asarray(value)
        except ValueError:
            raise mistake("the rows of this mask differ in length", "write rows of one length") from None
        if array.ndim != 2 or array.dtype.kind not in "biuf":
            raise mistake("a mask is a matrix of zeros and ones", "write a list for each row, [[0, 1], ...]")
        rows, columns = np.nonzero(array)
        numbers, shape = array[rows, columns], array.shape
    if ((numbers != 1) & (numbers != 0)).any():
        raise mistake("a mask holds zeros and ones alone", "write the weights themselves as init")
    there = numbers != 0
    if not there.any():
        raise mistake("this mask has no ones", "mark at least one entry, or remove the edge")
    return _sort_places(rows[there], columns[there], (int(shape[0]), int(shape[1])))


def _list_stored(matrix: Any) -> tuple[Indices, Indices, npt.NDArray[Any], tuple[int, ...]]:
    """The rows, columns and numbers that a matrix of SciPy stores, in its order, and its shape."""
    listed = matrix.tocoo()
    return listed.row, listed.col, listed.data, listed.shape


def _read_edges(value: Any) -> Places | None:
    if value is None or isinstance(value, Places):
        return value
    if scipy.sparse.issparse(value):
        rows, columns, _, _ = _list_stored(value)
        if not rows.size:
            raise mistake("this matrix has no entries", "list at least one, or remove the edge")
        return _sort_places(rows, columns)
    array = _read_whole_numbers(value, "list of edges")
    if array.ndim != 2 or array.shape[1] != 2:
        raise mistake("an edge is a pair [row, column]", "write a list of pairs, [[0, 1], ...]")
    if array.min() < 0:
        raise mistake(f"{array.min()} is no unit", "units are whole numbers that count from 0")
    return _sort_places(array[:, 0], array[:, 1])


def _sort_places(rows: Indices, columns: Indices, shape: tuple[int, int] | None = None) -> Places:
    order = np.lexsort((columns, rows))
    pattern = Pattern(rows[order], columns[order])
    twice = (np.diff(pattern.rows) == 0) & (np.diff(pattern.columns) == 0)
    if twice.any():
        first = [[int(pattern.rows[k]), int(pattern.columns[k])] for k in np.flatnonzero(twice)[:5]]
        listed = ", ".join(map(str, first)) + (", ..." if np.count_nonzero(twice) > 5 else "")
        raise mistake(f"{np.count_nonzero(twice)} edges are listed twice: {listed}", "list each edge once")
    in_order = bool((np.diff(order) == 1).all())
    return Places(pattern, shape, None if in_order or shape is not None else IndexMap(order))


class SparsePattern(Section):
    """Where a sparse weight matrix has entries; one of the three."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    density: Annotated[Real, Field(gt=0, le=1)] | None = Field(
        None, description="The share of entries; where they are is drawn from the name of the weight's group."
    )
    mask: Annotated[Places | None, PlainValidator(_read_mask)] = Field(
        None, description="A matrix with ones where there are entries."
    )
    edges: Annotated[Places | None, PlainValidator(_read_edges)] = Field(
        None, description="Pairs of a unit of the source and a unit of the target; weights are in this order."
    )

    @model_validator(mode="after")
    def _take_one(self) -> SparsePattern:
        given = [key for key in ("density", "mask", "edges") if getattr(self, key) is not None]
        if len(given) != 1:
            what = f"{' and '.join(given)} are given" if given else "nothing says where the entries are"
            raise mistake(what, "write one of density, mask and edges")
        return self

    @property
    def places(self) -> Places | None:
        """The entries, where they are listed."""
        return self.mask if self.mask is not None else self.edges


class SparseWeight(Section):
    """``weight: {sparse: ...}``."""

    sparse: SparsePattern = Field(description="Where the entries are.")
    storage: Storage | None = Field(
        None, description="How the weights are kept: as a dense matrix or in rows (CSR); by cost if not said."
    )


def read_index(value: Any) -> IndexMap | None:
    """The positions of an index map.

    >>> read_index([[0, 1], [None, 0]]).positions.tolist()
    [[0, 1], [-1, 0]]
    """
    if value is None or isinstance(value, IndexMap):
        return value
    if not isinstance(value, int | list | tuple | np.ndarray | np.generic) or isinstance(value, bool):
        raise mistake(f"{value!r} is no index", "write positions in the group, as nested lists")
    if not isinstance(value, np.ndarray):
        value = _replace_nulls(value)
    positions = _read_whole_numbers(value, "index")
    if positions.min() < -1 or positions.max() >= LARGEST_POSITION:
        wrong = positions.min() if positions.min() < -1 else positions.max()
        raise mistake(f"{wrong} is no position", "positions count from 0; null is an entry that is always 0")
    if positions.max() < 0:
        raise mistake(
            "this index reads nothing of the group", "write a position at one entry, or no connection"
        )
    return IndexMap(positions)


def _replace_nulls(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_replace_nulls(item) for item in value]
    return -1 if value is None else value


Index = Annotated[IndexMap | None, PlainValidator(read_index)]
