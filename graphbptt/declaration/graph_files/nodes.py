"""A table of nodes, a row a node: beside an edge list, or beside an adjacency matrix, whose rows it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphbptt.declaration.graph_files.attributes import list_attributes, read_columns
from graphbptt.declaration.graph_files.file_graph import Located
from graphbptt.declaration.graph_files.table import SHOWN, Table, read_table
from graphbptt.declaration.network_schema import NodeDeclaration
from graphbptt.errors import Problem, SpecError

__all__ = ["NodeTable", "read_names", "read_node_table"]

FIELD = "network.node_table"


@dataclass(frozen=True, slots=True, eq=False)
class NodeTable:
    """Nodes with their attributes, and their lines where they are of a file."""

    attributes: Mapping[str, dict[str, Any]]
    located: Located | None = None

    @property
    def file(self) -> str:
        return "" if self.located is None else self.located.file


def read_node_table(path: Path, chosen: Mapping[str, str]) -> NodeTable:
    """Read a table of nodes.

    Parameters
    ----------
    path : Path
        A CSV or TSV file.
    chosen : mapping
        The columns of those attributes that are not called like their column; that of the names is ``node``.

    Raises
    ------
    SpecError
        It cannot be read, or a node is named twice.
    """
    table = read_table(path, FIELD, "node_columns")
    column = chosen.get("node", "node")
    names = read_names(table, "node", column)
    if len(set(names)) < len(names):
        _reject_twins(names, table, column)
    others = {attribute: column for attribute, column in chosen.items() if attribute != "node"}
    columns = read_columns(table, others, [column], NodeDeclaration, lambda row: f"node {names[row]}")
    attributes = dict(zip(names, list_attributes(columns, len(names)), strict=True))
    return NodeTable(attributes, Located(table.file, table.lines, (names,)))


def read_names(table: Table, attribute: str, column: str) -> Sequence[str]:
    """A column that names nodes.

    Raises
    ------
    SpecError
        There is no such column, or a cell of it is empty.
    """
    texts = table.pick(column, attribute)
    stripped = {text: text.strip() for text in dict.fromkeys(texts)}
    if not all(stripped.values()):
        rows = [row for row, text in enumerate(texts) if not stripped[text]][:SHOWN]
        raise SpecError(
            Problem(table.field, f"the {attribute} is empty", "write a name", table.place(row, column))
            for row in rows
        )
    return [stripped[text] for text in texts]


def _reject_twins(names: Sequence[str], table: Table, column: str) -> None:
    first: dict[str, int] = {}
    problems = []
    for row, name in enumerate(names):
        if first.setdefault(name, row) != row:
            what = f"the node is named twice, first in line {table.lines[first[name]]}"
            problems.append(Problem(f"node {name}", what, "keep one of the rows", table.place(row, column)))
    raise SpecError(problems[:SHOWN])
