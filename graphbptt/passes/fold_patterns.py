"""Sparse weights as declared -> patterns in canonical order, and starting values as a list of entries."""

from __future__ import annotations

import hashlib

import numpy as np

from graphbptt.declaration.network_schema import ConnectionDeclaration
from graphbptt.declaration.sparse import Places, SparseWeight
from graphbptt.errors import Problem
from graphbptt.ir.indices import IndexMap, Indices, Pattern
from graphbptt.ir.parameters import FrozenArray, Use

__all__ = ["count_entries", "draw_pattern", "keep_written_order", "list_entries", "place_entries"]


def place_entries(
    weight: SparseWeight, rows: int, columns: int, path: str, problems: list[Problem]
) -> Places | None:
    """The entries of a sparse weight of this shape; None where they are drawn, or where they do not fit."""
    places = weight.sparse.places
    if places is None:
        return None
    if places.shape is not None and places.shape != (rows, columns):
        what = f"a mask of shape {places.shape} for a connection of {rows} units to {columns}"
        problems.append(
            Problem(f"{path}.weight.sparse.mask", what, f"write {rows} rows of {columns} numbers")
        )
        return None
    down, right = places.extent
    if down > rows or right > columns:
        pair = f"unit {down - 1} of {rows}" if down > rows else f"unit {right - 1} of {columns}"
        what = f"an edge {'from' if down > rows else 'to'} {pair}"
        remedy = f"write pairs of units 0 to {rows - 1} and 0 to {columns - 1}; they count within the parts"
        problems.append(Problem(f"{path}.weight.sparse.edges", what, remedy))
        return None
    return places


def count_entries(weight: SparseWeight, rows: int, columns: int) -> int:
    """The number of entries of a sparse weight; at least one."""
    places, density = weight.sparse.places, weight.sparse.density
    return places.pattern.size if places is not None else max(1, round((density or 0) * rows * columns))


def draw_pattern(group: str, rows: int, columns: int, entries: int) -> Pattern:
    """So many places of a matrix, drawn from the name of a group alone, in memory proportional to the entries.

    >>> draw_pattern("W", 3, 4, 12) == Pattern(*np.divmod(np.arange(12), 4))
    True
    """
    rng = np.random.default_rng(list(hashlib.sha256(f"pattern of {group}".encode()).digest()))
    size = rows * columns
    few = min(entries, size - entries)
    drawn = np.empty(0, np.int64)
    while len(drawn) < few:
        drawn = _unite(drawn, np.unique(rng.integers(0, size, few - len(drawn) + 8)))
    drawn = np.sort(rng.choice(drawn, few, replace=False))
    if few < entries:
        drawn = np.delete(np.arange(size), drawn)
    return Pattern(*np.divmod(drawn, columns))


def _unite(many: Indices, few: Indices) -> Indices:
    """Two sorted sets as one, without sorting the first anew."""
    places = np.searchsorted(many, few)
    new = np.searchsorted(many, few, side="right") == places
    return np.insert(many, places[new], few[new])


def keep_written_order(use: Use, order: IndexMap | None) -> Use:
    """A use of weights in the order in which edges were written, as one in the order of the pattern."""
    if order is None:
        return use
    index = order if use.index is None else order.follow(use.index)
    return Use(use.group, use.scale, index=index)


def list_entries(
    declared: ConnectionDeclaration,
    places: Places | None,
    shape: tuple[int, int],
    path: str,
    problems: list[Problem],
) -> ConnectionDeclaration:
    """The declaration with the entries of a full matrix of starting values in place of the matrix; without any where
    the matrix cannot be."""
    init = declared.init
    if not isinstance(init, FrozenArray) or init.values.ndim != 2 or init.values.shape != shape:
        return declared
    if places is None:
        what = "a matrix of starting values, though the density draws where its entries are"
        problems.append(Problem(f"{path}.init", what, "write mask or edges, or a distribution"))
        return declared.model_copy(update={"init": None})
    rows, columns = places.pattern.rows, places.pattern.columns
    left_out = init.values.copy()
    left_out[rows, columns] = 0
    if left_out.any():
        row, column = (int(index[0]) for index in np.nonzero(left_out))
        what = f"{np.count_nonzero(left_out)} starting values are not where entries are; the first at [{row}, {column}]"
        problems.append(Problem(f"{path}.init", what, "write 0 there, or add them to the pattern"))
        return declared.model_copy(update={"init": None})
    values = init.values[rows, columns]
    if places.order is not None:
        written = np.empty_like(values)
        written[places.order.positions] = values
        values = written
    return declared.model_copy(update={"init": FrozenArray(values)})
