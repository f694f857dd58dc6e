"""Columns of values -> the attributes of nodes and edges, those that are keys of the language checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from graphbptt.declaration.graph_files.cells import Cell, Keys, find_mistakes, read_cells
from graphbptt.declaration.graph_files.table import SHOWN, Table
from graphbptt.errors import Place, Problem, SpecError

__all__ = ["check_columns", "list_attributes", "read_columns"]

Columns = Mapping[str, Sequence[Cell]]


def read_columns(
    table: Table,
    chosen: Mapping[str, str],
    ends: Sequence[str],
    model: Keys,
    name: Callable[[int], str],
    factors: Collection[str] = (),
) -> Columns:
    """The columns of a table by attribute.

    Parameters
    ----------
    table : Table
    chosen : mapping
        The columns of those attributes that are not called like their column.
    ends : sequence of str
        The columns that name nodes and are no attributes.
    model : type
        What has the attributes.
    name : callable
        The path under which problems of a row are reported.
    factors : collection of str
        The attributes that are factors of ties, and so are no keys of the language.

    Raises
    ------
    SpecError
        There is no such column, or a cell cannot be a value of its key.
    """
    for attribute, column in chosen.items():
        table.pick(column, attribute)
    renamed = {column: attribute for attribute, column in chosen.items()}
    columns: dict[str, Sequence[Cell]] = {}
    origins: dict[str, str] = {}
    for column, texts in table.columns.items():
        attribute = renamed.get(column, column)
        if column in ends or (column not in renamed and attribute in chosen):
            continue
        columns[attribute] = read_cells(
            texts, alone=attribute in model.model_fields and attribute not in factors
        )
        origins[attribute] = column
    _check_factors(columns, name, lambda row, attribute: table.place(row, origins[attribute]), factors)
    check_columns(model, columns, name, lambda row, attribute: table.place(row, origins[attribute]), factors)
    return columns


def check_columns(
    model: Keys,
    columns: Columns,
    name: Callable[[int], str],
    place: Callable[[int, str], Place | None],
    factors: Collection[str] = (),
) -> None:
    """Check the columns that are keys of the language.

    Raises
    ------
    SpecError
        With what cannot stand there, each by the first row that has it.
    """
    problems = []
    for key in (columns.keys() & model.model_fields.keys()) - set(factors):
        for row, mistake in find_mistakes(model, key, columns[key]):
            problems.append(Problem(f"{name(row)}.{key}", mistake.what, mistake.instead, place(row, key)))
            if len(problems) == SHOWN:
                raise SpecError(problems)
    if problems:
        raise SpecError(problems)


def list_attributes(columns: Columns, rows: int) -> list[dict[str, Any]]:
    """The attributes of every row; what is None is not among them."""
    if not columns:
        return [{} for _ in range(rows)]
    names = tuple(columns)
    whole = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if not any(None in column for column in columns.values()):
        return whole
    return [{name: value for name, value in row.items() if value is not None} for row in whole]


def _check_factors(
    columns: Columns,
    name: Callable[[int], str],
    place: Callable[[int, str], Place | None],
    factors: Collection[str],
) -> None:
    """Check that what the columns of factors hold are numbers; one that is not makes its column one of text.

    Raises
    ------
    SpecError
        With the cells that are none.
    """
    problems = []
    for factor in factors:
        for row, value in enumerate(columns.get(factor, ())):
            number = read_cells([value], alone=True)[0] if isinstance(value, str) else value
            if isinstance(number, str) or (isinstance(number, float) and not math.isfinite(number)):
                what = f"{value!r} is no finite number, but {factor} is a factor"
                problems.append(Problem(f"{name(row)}.{factor}", what, "write a number", place(row, factor)))
    if problems:
        raise SpecError(problems[:SHOWN])
