"""A csv as one sequence, a row a step: shifted, normalised, and divided by masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.run_schema import DataDeclaration, FieldDeclaration
from graphbptt.errors import DataError, Problem
from graphbptt.training.dataset import Dataset, Parts
from graphbptt.training.division import Rows, check_counts, choose_rows, normalise, total_variance, within
from graphbptt.training.tables import read_columns

__all__ = ["read_series"]

Array = npt.NDArray[Any]


def read_series(declaration: DataDeclaration, path: Path, labels: frozenset[str]) -> Parts:
    """Read a csv as one sequence.

    The parts start at the first step, and end at their own last one, so that nothing later can reach them:
    a part's own steps are those where the split's mask is 1.
    """
    split = declaration.split
    by = split.by if split is not None else None
    names = {
        column: f"data.fields.{name}" for name, item in declaration.fields.items() for column in item.source
    }
    columns = read_columns(path, names if by is None else {by: "data.split.by", **names})
    rows = len(columns[next(iter(names))])
    check_counts(split, rows)
    window = _find_window(declaration, path, rows)
    order = columns[by][window] if by is not None else np.arange(window.start + 1.0, window.stop + 1)
    chosen = choose_rows(split, order)
    values = {
        name: _shift(columns, item, window, chosen["train"]) for name, item in declaration.fields.items()
    }
    over = declaration.variance_over
    counted = np.ones(len(order), np.bool_) if over is None else within(order, over)
    if not counted.any():
        raise DataError(Problem("data.variance_over", "no row of the data is in it", "widen it"))
    variance = {name: total_variance(array[counted]) for name, array in values.items() if name not in labels}
    fields = {name: _read_labels(name, array) if name in labels else array for name, array in values.items()}
    mask = split.mask if split is not None else None
    return Parts.of({name: _cut(fields, own, mask) for name, own in chosen.items()}, variance)


def _find_window(declaration: DataDeclaration, path: Path, rows: int) -> slice:
    """The rows that have a value for every lead."""
    leads = [item.lead for item in declaration.fields.values()]
    start, stop = max(0, -min(leads)), rows - max(0, *leads)
    if start >= stop:
        raise DataError(Problem(str(path), f"no one of its {rows} rows has every lead", "shorten the leads"))
    return slice(start, stop)


def _shift(columns: Mapping[str, Array], item: FieldDeclaration, window: slice, train: Rows) -> Array:
    rows = slice(window.start + item.lead, window.stop + item.lead)
    values = np.stack([columns[name][rows] for name in item.source], axis=-1)
    return normalise(values, values[train]) if item.normalise else values


def _read_labels(name: str, values: Array) -> Array:
    if values.shape[-1] > 1 or np.any(values % 1):
        raise DataError(
            Problem(
                f"data.fields.{name}", "labels are one whole number a row", "name one column of whole numbers"
            )
        )
    return values[:, 0].astype(np.int64)


def _cut(fields: Mapping[str, Array], own: Rows, mask: str | None) -> Dataset:
    stop = int(np.flatnonzero(own)[-1]) + 1
    cut = {name: array[None, :stop] for name, array in fields.items()}
    return Dataset(cut if mask is None else {**cut, mask: own[None, :stop].astype(float)})
