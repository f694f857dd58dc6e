"""Files of numbers: the columns of a csv, the arrays of an npz."""

from __future__ import annotations

import contextlib
import csv
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import DataError, Place, Problem, did_you_mean

__all__ = ["read_arrays", "read_columns"]

Array = npt.NDArray[Any]
AS_ARCHIVE = "write it with numpy.savez"
SPEC = "the spec"
UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What a file that is no archive, or a broken one, can raise; a RuntimeError where it is locked by a password."""

SHOWN = 10
"""How many bad cells of a file are listed."""


def read_columns(path: Path, names: Mapping[str, str]) -> dict[str, npt.NDArray[np.float64]]:
    """The named columns of a csv whose first row holds the names; each with the key of the spec that names it.

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
            Problem(names[n], f"{path} has no column {n!r}", did_you_mean(n, header)) for n in missing
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


def read_arrays(path: Path, names: Mapping[str, str] | None = None, start: str = SPEC) -> dict[str, Array]:
    """The arrays of an npz by name; arrays of Python objects are refused.

    Parameters
    ----------
    path : Path
    names : mapping, optional
        The arrays to read, each with the key of the spec that names it; all without it.
    start : str
        What a path is relative to, for the message where there is no such file.

    Raises
    ------
    DataError
        There is no such file or array, or it is no archive of arrays of numbers.
    """
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise DataError(Problem(str(path), "is no .npz archive", AS_ARCHIVE))
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                wanted = dict.fromkeys(archive.files, "") if names is None else names
                if missing := [name for name in wanted if name not in archive.files]:
                    raise DataError(
                        Problem(wanted[n], f"{path} has no array {n!r}", did_you_mean(n, archive.files))
                        for n in missing
                    )
                return {name: _read_array(path, archive, name) for name in wanted}
    except UNREADABLE as error:
        raise _cannot_read(path, error, start) from None


def _read_array(path: Path, archive: Mapping[str, Any], name: str) -> Array:
    try:
        array = archive[name]
    except ValueError:  # in the words of NumPy it is advice to load what can run code
        array = None
    if not isinstance(array, np.ndarray):
        raise DataError(Problem(str(path), f"{name!r} in it is no array of numbers", AS_ARCHIVE))
    return array


def _cannot_read(path: Path, error: Exception, start: str = SPEC) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(Problem(str(path), "there is no such file", f"a path is relative to {start}"))
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(Problem(str(path), f"cannot be read: {said}", "is it a file of the declared kind?"))
