"""Where a packed matrix has numbers: the connections that share it leave rectangles of it that are always zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphbptt.ir.plan import Matrix, MatrixEntry

__all__ = ["Span", "find_spans"]

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Span:
    """The columns of a matrix up to `stop`, from where another span ends, are zero outside the rows [top, bottom)."""

    stop: int
    top: int
    bottom: int


def find_spans(matrix: Matrix, transposed: bool, columns: int) -> tuple[Span, ...]:
    """The spans of the first `columns` columns of a matrix, or of its transpose; none if it is full.

    >>> first = MatrixEntry("a->c", None, range(0, 4), range(0, 2))
    >>> second = MatrixEntry("b->d", None, range(2, 4), range(2, 4))
    >>> find_spans(Matrix("W0", 4, 4, (first, second), "net1"), False, 4)
    (Span(stop=2, top=0, bottom=4), Span(stop=4, top=2, bottom=4))
    >>> find_spans(Matrix("W0", 4, 4, (first,), "net1"), False, 2)
    ()
    """
    width, depth = (matrix.rows, matrix.columns) if transposed else (matrix.columns, matrix.rows)
    top, bottom = np.full(width, depth), np.zeros(width, int)
    for entry in matrix.entries:
        _enclose(entry, transposed, top, bottom)
    top[bottom == 0] = 0
    top, bottom = top[:columns], bottom[:columns]
    if (top == 0).all() and (bottom == depth).all():
        return ()
    last = np.flatnonzero((np.diff(top) != 0) | (np.diff(bottom) != 0))
    return tuple(Span(int(c) + 1, int(top[c]), int(bottom[c])) for c in (*last, columns - 1))


def _enclose(entry: MatrixEntry, transposed: bool, top: Rows, bottom: Rows) -> None:
    """Widen the rows of each column by those of an entry."""
    if entry.diagonal or entry.pattern is not None:
        places = entry.places()
        rows, columns = reversed(places) if transposed else places
        np.minimum.at(top, columns, rows)
        np.maximum.at(bottom, columns, rows + 1)
    else:
        rows, columns = (np.asarray(part) for part in (entry.rows, entry.columns)[:: -1 if transposed else 1])
        top[columns] = np.minimum(top[columns], rows.min())
        bottom[columns] = np.maximum(bottom[columns], rows.max() + 1)
