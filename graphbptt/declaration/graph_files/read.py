"""A graph file and what the spec says of it -> a networkx graph in the language of a spec.

Attributes that are keys of the language mean what they mean in a spec, and stand before the defaults; a number as
`weight` is the starting value. What else a file says of its nodes and edges (types, labels, positions) stays on the
graph as it is. An undirected edge becomes two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from graphbptt.declaration.graph import name_nodes
from graphbptt.declaration.graph_files.adjacency import read_adjacency
from graphbptt.declaration.graph_files.edge_list import read_edge_list
from graphbptt.declaration.graph_files.file_graph import FileGraph
from graphbptt.declaration.graph_files.gml import read_gml
from graphbptt.declaration.graph_files.graphml import read_graphml
from graphbptt.declaration.graph_files.node_link import read_node_link
from graphbptt.declaration.graph_files.nodes import NodeTable, read_node_table
from graphbptt.declaration.graph_files.schema import GraphFile
from graphbptt.declaration.graph_files.table import SHOWN
from graphbptt.errors import Problem, SpecError, did_you_mean

__all__ = ["read_graph_file"]

Tabular = Callable[[Path, GraphFile, NodeTable | None], FileGraph]

DRAWINGS: Mapping[str, Callable[[Path], FileGraph]] = {
    ".graphml": read_graphml,
    ".gml": read_gml,
    ".json": read_node_link,
}
TABLES: Mapping[str, Tabular] = {".csv": read_edge_list, ".tsv": read_edge_list, ".npz": read_adjacency}


def read_graph_file(declared: GraphFile, folder: Path) -> FileGraph:
    """The graph in a file, in the language of a spec.

    Parameters
    ----------
    declared : GraphFile
        What the spec says.
    folder : Path
        Where the spec is.

    Raises
    ------
    SpecError
        The file cannot be read as a graph; problems whose place is not known are reported under keys of the spec.
    """
    path = folder / declared.graph
    kind = path.suffix.lower()
    if kind in TABLES:
        nodes = None
        if declared.node_table is not None:
            nodes = read_node_table(folder / declared.node_table, declared.node_columns)
        elif declared.node_columns:
            raise SpecError(
                Problem(
                    "network.node_columns",
                    "there is no table of nodes",
                    "write node_table: ..., or leave it out",
                )
            )
        read = TABLES[kind](path, declared, nodes)
    elif kind in DRAWINGS:
        if declared.node_table is not None:
            remedy = f"leave it out: a {kind} file has the attributes of nodes itself"
            raise SpecError(
                Problem("network.node_table", "a table of nodes goes with tables of edges", remedy)
            )
        read = DRAWINGS[kind](path)
        edges = (attributes for *_, attributes in read.graph.edges(data=True))
        _rename(dict(read.graph.nodes(data=True)).values(), declared.node_columns, "network.node_columns")
        _rename(list(edges), declared.columns, "network.columns")
    else:
        what = f"a graph file of unknown kind {kind!r}"
        raise SpecError(Problem("network.graph", what, did_you_mean(kind, [*DRAWINGS, *TABLES])))
    if not read.graph:
        raise SpecError(Problem("network.graph", f"{path} has no nodes", "name a file that has some"))
    return replace(read, graph=_speak(read.graph, declared))


def _speak(graph: nx.MultiDiGraph[Any], declared: GraphFile) -> nx.MultiDiGraph[str]:
    """The graph with the names and the attributes of a spec; its attributes are changed in place."""
    graph.graph.clear()  # what a file says of the whole is no part of the language
    names = name_nodes(graph)
    if not all(isinstance(node, str) for node in graph):
        graph = nx.relabel_nodes(graph, names)
    for _, attributes in graph.nodes(data=True):
        for key, value in declared.node_defaults.items():
            attributes.setdefault(key, value)
    problems: list[Problem] = []
    for source, target, attributes in graph.edges(data=True):
        weight = attributes.get("weight") if "weight" not in declared.factors else None
        if isinstance(weight, int | float) and not isinstance(weight, bool):
            if not -np.inf < weight < np.inf:
                what = f"the weight {weight} is no finite number"
                problems.append(Problem(f"edge {source}->{target}.weight", what, "write a finite one"))
            attributes["init"] = attributes.pop("weight")
        for key, value in declared.edge_defaults.items():
            attributes.setdefault(key, value)
    if problems:
        raise SpecError(problems[:SHOWN])
    return graph


def _rename(parts: Collection[dict[str, Any]], chosen: Mapping[str, str], path: str) -> None:
    """Call the attributes of nodes or edges as the spec does."""
    known = {str(key) for attributes in parts for key in attributes} if chosen else set()
    problems = [
        Problem(
            f"{path}.{attribute}",
            f"nothing in the file has an attribute {name!r}",
            did_you_mean(name, [*known]),
        )
        for attribute, name in chosen.items()
        if name not in known
    ]
    if problems:
        raise SpecError(problems)
    for attributes in parts:
        renamed = {
            attribute: attributes.pop(name) for attribute, name in chosen.items() if name in attributes
        }
        attributes.update(renamed)
