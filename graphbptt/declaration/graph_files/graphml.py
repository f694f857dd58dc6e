"""GraphML -> a graph."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.parsers import expat

import networkx as nx

from graphbptt.declaration.graph_files.content import read_content
from graphbptt.declaration.graph_files.drawing import LARGEST_DRAWING, read_drawing
from graphbptt.declaration.graph_files.file_graph import FileGraph, Located
from graphbptt.errors import Problem, SpecError

__all__ = ["read_graphml"]

ENTITIES = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
"""What can make a small XML file large; no GraphML writer needs it."""


def read_graphml(path: Path) -> FileGraph:
    """Read a GraphML file.

    Raises
    ------
    SpecError
        It cannot be read, holds no graph, or declares entities.
    """
    content = read_content(path, LARGEST_DRAWING)
    # Without its zeros, so that UTF-16 hides nothing.
    if ENTITIES.search(content.replace(b"\0", b"")):
        what = f"{path} has a DOCTYPE or declares entities, which are not read"
        raise SpecError(Problem("network.graph", what, "remove the declaration; GraphML needs none"))
    read = read_drawing(path, _parse)
    lines = _find_lines(content)
    nodes = [node for node in read.graph if (node,) in lines]
    edges = [edge for edge in read.graph.edges(keys=True) if edge[:2] in lines or edge[1::-1] in lines]
    return FileGraph(
        read.graph,
        Located(str(path), [lines[node,] for node in nodes], (nodes,)),
        Located(str(path), [lines.get(edge[:2]) or lines[edge[1::-1]] for edge in edges], _turn(edges)),
    )


def _parse(text: str) -> nx.Graph[Any]:
    graph: nx.Graph[Any] = nx.parse_graphml(text)
    return graph


def _find_lines(content: bytes) -> dict[tuple[str, ...], int]:
    """The first line of every node (its name) and every edge (its ends)."""
    lines: dict[tuple[str, ...], int] = {}
    parser = expat.ParserCreate("utf-8")

    def start(name: str, attributes: dict[str, str]) -> None:
        kind = name.rpartition(":")[2]
        names = {"node": ("id",), "edge": ("source", "target")}.get(kind, ())
        if names and all(key in attributes for key in names):
            lines.setdefault(tuple(attributes[key] for key in names), parser.CurrentLineNumber)

    parser.StartElementHandler = start
    parser.Parse(content, True)
    return lines


def _turn(edges: list[tuple[Any, Any, Any]]) -> tuple[list[Any], ...]:
    """Edges as columns."""
    return tuple(list(column) for column in zip(*edges, strict=True)) or ([], [], [])
