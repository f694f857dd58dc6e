"""An edge list, a row an edge: CSV or TSV with a header -> a graph.

The columns ``source`` and ``target`` name the nodes, ``key`` tells edges between the same two nodes apart; every other
column is an attribute of the edges.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx

from graphbptt.declaration.graph_files.attributes import list_attributes, read_columns
from graphbptt.declaration.graph_files.file_graph import FileGraph, Located
from graphbptt.declaration.graph_files.nodes import NodeTable, read_names
from graphbptt.declaration.graph_files.schema import GraphFile
from graphbptt.declaration.graph_files.table import SHOWN, Table, read_table
from graphbptt.declaration.network_schema import ConnectionDeclaration
from graphbptt.errors import Place, Problem, SpecError

__all__ = ["connect", "read_edge_list"]

ENDS = ("source", "target")


def read_edge_list(path: Path, declared: GraphFile, nodes: NodeTable | None) -> FileGraph:
    """Read an edge list.

    Parameters
    ----------
    path : Path
        A CSV or TSV file.
    declared : GraphFile
        What the spec says of it.
    nodes : NodeTable, optional
        The nodes; without it they are those that edges name.

    Raises
    ------
    SpecError
        It cannot be read or has no rows, an edge is listed twice, or names a node that the table lacks.
    """
    table, chosen = read_table(path, "network.graph", "columns"), declared.columns
    names = {attribute: chosen.get(attribute, attribute) for attribute in (*ENDS, "key")}
    sources, targets = (read_names(table, end, names[end]) for end in ENDS)
    if not sources:
        remedy = "write a row an edge, or write the network without a graph file"
        raise SpecError(Problem("network.graph", "the list has no edges", remedy, Place(table.file, 1, 1)))
    others = {attribute: column for attribute, column in chosen.items() if attribute not in ENDS}
    columns = dict(
        read_columns(
            table,
            others,
            [names[end] for end in ENDS],
            ConnectionDeclaration,
            lambda row: f"edge {sources[row]}->{targets[row]}",
            declared.factors,
        )
    )
    keys = columns.pop("key", None)
    told = keys if keys is not None else columns.get("delay")
    if told is None:
        told = [0] * len(sources)  # which are their keys in the graph, too
    _reject_twins(sources, targets, told, table)
    if nodes is not None:
        _reject_strangers(sources, targets, nodes, table, names)
    rows = list_attributes(columns, len(sources))
    graph, taken = connect(nodes, sources, targets, keys if "delay" in columns else told, rows)
    located = Located(table.file, table.lines, (sources, targets, taken))
    return FileGraph(graph, None if nodes is None else nodes.located, located)


def connect(
    nodes: NodeTable | None,
    sources: Sequence[Hashable],
    targets: Sequence[Hashable],
    keys: Sequence[Hashable] | None,
    rows: Sequence[dict[str, Any]],
) -> tuple[nx.MultiDiGraph[Any], list[Hashable]]:
    """The graph of these edges, and their keys."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for node, attributes in (nodes.attributes if nodes is not None else {}).items():
        graph.add_node(node)
        graph.nodes[node].update(attributes)
    given = [None] * len(sources) if keys is None else keys
    taken: list[Hashable] = []
    for source, target, key, attributes in zip(sources, targets, given, rows, strict=True):
        free = graph.add_edge(source, target, key)
        graph.get_edge_data(source, target, free).update(attributes)
        taken.append(free)
    return graph, taken


def _reject_twins(
    sources: Sequence[str], targets: Sequence[str], told: Sequence[Hashable], table: Table
) -> None:
    """Edges between the same nodes have different keys or, where there are no keys, different delays."""
    edges = list(zip(sources, targets, told, strict=True))
    if len(set(edges)) == len(edges):
        return
    first: dict[Hashable, int] = {}
    twins = [row for row, edge in enumerate(edges) if first.setdefault(edge, row) != row]
    remedy = "keep one of the rows, or add a column of keys, and columns: {key: ...} in the spec"
    raise SpecError(
        Problem(
            f"edge {sources[row]}->{targets[row]}",
            f"the edge is listed twice, first in line {table.lines[first[edges[row]]]}"
            + (f" ({len(twins):,} such rows)" if len(twins) > 1 else ""),
            remedy,
            table.place(row, next(iter(table.columns))),
        )
        for row in twins[:5]
    )


def _reject_strangers(
    sources: Sequence[str],
    targets: Sequence[str],
    nodes: NodeTable,
    table: Table,
    names: Mapping[str, str],
) -> None:
    """Where there is a table of nodes, it has all of them."""
    strangers = {*sources, *targets} - nodes.attributes.keys()
    if not strangers:
        return
    problems: list[Problem] = []
    for row, ends in enumerate(zip(sources, targets, strict=True)):
        for end, node in zip(ENDS, ends, strict=True):
            if node in strangers and len(problems) < SHOWN:
                strangers.discard(node)
                path, what = f"edge {sources[row]}->{targets[row]}", f"{node!r} is not in {nodes.file}"
                remedy = "add a row for it there, or remove its edges"
                problems.append(Problem(path, what, remedy, table.place(row, names[end])))
    raise SpecError(problems)
