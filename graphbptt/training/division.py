"""Dividing rows into parts, and scaling by what the training part holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.run_schema import Range, Split
from graphbptt.errors import DataError, Problem

__all__ = ["Rows", "check_counts", "choose_rows", "normalise", "total_variance", "within"]

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.bool_]


def choose_rows(
    split: Split | None, order: Array, generator: np.random.Generator | None = None
) -> dict[str, Rows]:
    """The rows of each part: ranges of `order`, or fractions of all rows, drawn at random by a generator.

    Raises
    ------
    DataError
        A part holds no row.

    Examples
    --------
    >>> parts = choose_rows(Split(train=(1, 3), test=(4, 4)), np.arange(1, 6))
    >>> {name: rows.astype(int).tolist() for name, rows in parts.items()}
    {'train': [1, 1, 1, 0, 0], 'test': [0, 0, 0, 1, 0]}
    """
    if split is None:
        return {"train": np.ones(len(order), np.bool_)}
    parts = split.parts
    ranges = {name: part for name, part in parts.items() if isinstance(part, tuple)}
    fractions = {name: part for name, part in parts.items() if isinstance(part, float)}
    chosen = {name: within(order, part) for name, part in ranges.items()}
    if fractions:
        chosen = _cut_fractions(fractions, len(order), generator)
    empty = [name for name, rows in chosen.items() if not rows.any()]
    if empty:
        counted = f"{len(order)} rows from {order.min():g} to {order.max():g}"
        raise DataError(
            Problem(f"data.split.{name}", f"no row of the data is in it: there are {counted}", "widen it")
            for name in empty
        )
    return chosen


def check_counts(split: Split | None, rows: int) -> None:
    """Whether ranges that count the rows, from 1, end where these do.

    Raises
    ------
    DataError
        A part goes on behind the last row, or begins before the first.
    """
    parts = {} if split is None or split.by is not None else split.parts
    problems = [
        Problem(
            f"data.split.{name}",
            f"{part[0]:g} to {part[1]:g}, of {rows} in the data",
            f"write a range within [1, {rows}]",
        )
        for name, part in parts.items()
        if isinstance(part, tuple) and not 1 <= part[0] <= part[1] <= rows
    ]
    if problems:
        raise DataError(problems)


def _cut_fractions(
    fractions: dict[str, float], rows: int, generator: np.random.Generator | None
) -> dict[str, Rows]:
    shares = {"train": 1 - sum(fractions.values())} | fractions
    order = np.arange(rows) if generator is None else generator.permutation(rows)
    ends = np.rint(np.cumsum(list(shares.values())) * rows).astype(int)
    starts = (0, *ends[:-1])
    chosen = {name: np.zeros(rows, np.bool_) for name in shares}
    for name, start, end in zip(shares, starts, ends, strict=True):
        chosen[name][order[start:end]] = True
    return chosen


def within(order: Array, part: Range) -> Rows:
    """Which rows lie in a range, both ends included."""
    first, last = part
    rows: Rows = (order >= first) & (order <= last)
    return rows


def normalise(values: Array, seen: Array) -> Array:
    """Mean 0 and deviation 1 for each unit (the last axis) over what was `seen`; a constant becomes 0."""
    if not seen.size:
        return values
    axes = tuple(range(seen.ndim - 1))
    with np.errstate(
        invalid="ignore", over="ignore"
    ):  # what is not finite is reported where fields are bound
        spread = seen.std(axis=axes)
        scaled: Array = (values - seen.mean(axis=axes)) / np.where(spread > 0, spread, 1)
    return scaled


def total_variance(values: Array) -> float:
    """The variance of each unit (the last axis) over all rows, averaged over units; 0 of no values."""
    if not values.size:
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):  # as above
        return float(values.reshape(-1, values.shape[-1]).var(axis=0).mean())
