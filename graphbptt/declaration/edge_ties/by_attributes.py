"""Edges with equal values of some attributes, of theirs or of their ends, as groups."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from graphbptt.declaration.edge_ties.listed_edges import ListedEdges, show_first
from graphbptt.declaration.edge_ties.names import name_groups
from graphbptt.errors import Problem, did_you_mean

__all__ = ["group_by_attributes"]

PATH = "network.ties_by"
ENDS = ("source_", "target_")


def group_by_attributes(edges: ListedEdges, attributes: Sequence[str], problems: list[Problem]) -> list[str]:
    """The name of the group of every edge: its values, joined by colons."""
    of_nodes = {str(key) for said in edges.nodes.values() for key in said}
    of_edges = {str(key) for said in edges.attributes for key in said}
    known = sorted({end + key for end in ENDS for key in of_nodes} | of_edges)
    columns = []
    for name in attributes:
        end, inner = name[: len(ENDS[0])], name[len(ENDS[0]) :]
        if end in ENDS and inner in of_nodes:
            ends = edges.sources if end == ENDS[0] else edges.targets
            columns.append(_read_nodes(edges, ends, inner, name, problems))
        elif name in of_edges:
            columns.append(_read_edges(edges, name, problems))
        else:
            what = f"there is no attribute {name!r} of edges or of their ends"
            problems.append(Problem(PATH, what, did_you_mean(name, known)))
    if problems:
        return []
    return name_groups(list(zip(*columns, strict=True)), ":", problems)


def _read_nodes(
    edges: ListedEdges, ends: Sequence[Hashable], inner: str, name: str, problems: list[Problem]
) -> list[Any]:
    """The attribute of the node at one end of every edge."""
    values = {node: said.get(inner) for node, said in edges.nodes.items()}
    lacking = [node for node in dict.fromkeys(ends) if not _is_value(values[node])]
    if lacking:
        what = f"{name}: {len(lacking):,} nodes have no {inner!r} that is a number or text: "
        remedy = f"give each of them one, or write node_defaults: {{{inner}: ...}}"
        problems.append(Problem(PATH, what + show_first(lacking, len(lacking)), remedy))
    return [values[node] for node in ends]


def _read_edges(edges: ListedEdges, name: str, problems: list[Problem]) -> list[Any]:
    """An attribute of every edge."""
    column = edges.column(name)
    lacking = [row for row, value in enumerate(column) if not _is_value(value)]
    if lacking:
        what = f"{len(lacking):,} edges have no {name!r} that is a number or text: {edges.show(lacking)}"
        remedy = f"give each of them one, or write edge_defaults: {{{name}: ...}}"
        problems.append(Problem(PATH, what, remedy))
    return column


def _is_value(value: object) -> bool:
    """Whether it can name a group; NaN cannot, being unequal to itself."""
    return isinstance(value, str | int | float) and value == value and value != ""
