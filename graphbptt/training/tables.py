"""Files of numbers: the columns of a csv, the arrays of an npz."""

from __future__ import annotations

import contextlib
import csv
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import DataError, Place, Problem, did_you_mean

__all__ = ["read_arrays", "read_columns"]

Array = npt.NDArray[Any]
SHOWN = 10
"""How many bad cells of a file are listed."""


def read_columns(path: Path, names: Collection[str]) -> dict[str, npt.NDArray[np.float64]]:
    """The named columns of a csv whose first row holds the names.

    Raises
    ------
    DataError
        There is no such file or column, or a cell is not a finite number; each with its line and column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), start=1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _cannot_read(path, error) from None
    if len(rows) < 2:
        raise DataError(Problem(str(path), "there are no rows", "write a row of names, then the numbers"))
    header = [name.strip() for name in rows[0][1]]
    missing = [name for name in names if name not in header]
    if missing:
        raise DataError(
            Problem(str(path), f"there is no column {n!r}", did_you_mean(n, header)) for n in missing
        )
    problems: list[Problem] = []
    columns = {name: _read_column(path, rows[1:], header.index(name), problems) for name in names}
    if problems:
        raise DataError(problems[:SHOWN])
    return columns


def _read_column(
    path: Path, rows: list[tuple[int, list[str]]], column: int, problems: list[Problem]
) -> npt.NDArray[np.float64]:
    values = np.full(len(rows), np.nan)
    for index, (line, row) in enumerate(rows):
        cell = row[column].strip() if column < len(row) else ""
        with contextlib.suppress(ValueError):
            values[index] = float(cell)
        if not np.isfinite(values[index]):
            said = f"{cell!r} is not a finite number" if cell else "the cell is empty"
            place = Place(str(path), line, column + 1)
            problems.append(Problem("csv", said, "write a number, or leave the row out", place))
    return values


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an npz by name; arrays of Python objects are refused.

    Raises
    ------
    DataError
        There is no such file, or it cannot be read as arrays of numbers.
    """
    try:
        # Opened here, so that it is closed where its content is no archive.
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array and no names")
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _cannot_read(path, error) from None


def _cannot_read(path: Path, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(Problem(str(path), "there is no such file", "a path is relative to the spec"))
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(Problem(str(path), f"cannot be read: {said}", "is it a file of the declared kind?"))
