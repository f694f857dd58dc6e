"""A CSV or TSV file with a header -> columns of text, each cell with its line and column."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphbptt.declaration.graph_files.content import read_text
from graphbptt.errors import Place, Problem, SpecError, did_you_mean

if TYPE_CHECKING:
    from _csv import Reader

__all__ = ["DELIMITERS", "SHOWN", "Table", "read_table"]

DELIMITERS: Mapping[str, str] = {".csv": ",", ".tsv": "\t"}

LARGEST_TABLE = 1_000_000_000
"""The most bytes of a table."""

SHOWN = 10
"""How many mistakes of a kind are listed."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The columns of a file by name, in its order; `lines` are those where the rows begin.

    `field` is the key of the spec that names the file, `mapping` the one that can name its columns.
    """

    file: str
    field: str
    mapping: str
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]

    def place(self, row: int, name: str) -> Place:
        """The place of a cell, by the lengths of those before it."""
        before = list(self.columns)[: list(self.columns).index(name)]
        return Place(
            self.file, self.lines[row], 1 + sum(len(self.columns[other][row]) + 1 for other in before)
        )

    def pick(self, name: str, attribute: str) -> Sequence[str]:
        """The column of an attribute that has to be there.

        Raises
        ------
        SpecError
            It is not.
        """
        if name not in self.columns:
            what = f"there is no column {name!r}"
            close = did_you_mean(name, list(self.columns))
            remedy = f"name it in the spec by {self.mapping}: {{{attribute}: ...}}; {close}"
            raise SpecError(Problem(self.field, what, remedy, Place(self.file, 1, 1)))
        return self.columns[name]


def read_table(path: Path, field: str, mapping: str) -> Table:
    """Read a table; `field` is the key of the spec that names it, `mapping` the one that can name its columns.

    Raises
    ------
    SpecError
        It cannot be read, has no header, or rows that differ from the header in length.
    """
    text = read_text(path, LARGEST_TABLE, field)
    # Strict, so that a quotation mark without its fellow does not swallow the rest of the file.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[path.suffix.lower()], strict=True)
    try:
        header = _read_header(reader, path, field)
        columns, lines = _read_rows(reader, header, path, field)
    except csv.Error as error:
        place = Place(str(path), max(1, reader.line_num), 1)
        remedy = "put a cell with quotation marks in quotation marks"
        raise SpecError(Problem(field, f"the row cannot be read: {error}", remedy, place)) from None
    return Table(str(path), field, mapping, dict(zip(header, columns, strict=True)), lines)


def _read_header(reader: Reader, path: Path, field: str) -> list[str]:
    header = [name.strip() for name in next(reader, [])]
    first = Place(str(path), 1, 1)
    if not any(header):
        raise SpecError(Problem(field, "there is no header", "write the names of the columns first", first))
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        what = f"several columns are called {repeated[0]!r}"
        raise SpecError(Problem(field, what, "give each column a name of its own", first))
    return header


def _read_rows(
    reader: Reader, header: Sequence[str], path: Path, field: str
) -> tuple[list[list[str]], array[int]]:
    columns: list[list[str]] = [[] for _ in header]
    add: list[Callable[[str], None]] = [column.append for column in columns]
    lines = array("q")
    problems: list[Problem] = []
    known: dict[str, str] = {}
    line = reader.line_num + 1
    for row in reader:
        if len(row) == len(header):
            lines.append(line)
            for append, cell in zip(add, row, strict=True):
                append(known.setdefault(cell, cell))  # equal cells are one object
        elif row and len(problems) < SHOWN:
            what = f"{len(row)} cells where the header has {len(header)}"
            remedy = "write one cell for each column, empty where there is nothing to say"
            problems.append(Problem(field, what, remedy, Place(str(path), line, 1)))
        line = reader.line_num + 1
    if problems:
        raise SpecError(problems)
    return columns, lines
