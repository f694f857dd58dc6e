"""GraphML -> a graph."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.parsers import expat

import networkx as nx

from graphbptt.declaration.graph_files.content import read_content
from graphbptt.declaration.graph_files.drawing import LARGEST_DRAWING, read_drawing
from graphbptt.declaration.graph_files.file_graph import FileGraph, Located
from graphbptt.declaration.graph_files.survey_graphml import survey_graphml
from graphbptt.declaration.graph_files.table import SHOWN
from graphbptt.errors import Problem, SpecError

__all__ = ["read_graphml"]

ENTITIES = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
"""What can make a small XML file large; no GraphML writer needs it."""


def read_graphml(path: Path) -> FileGraph:
    """Read a GraphML file.

    Raises
    ------
    SpecError
        It cannot be read, holds no graph, or declares entities; a value is not of its type, or an edge has an end
        that is no node of the file, each with its line.
    """
    content = read_content(path, LARGEST_DRAWING)
    # Without its zeros, so that UTF-16 hides nothing.
    if ENTITIES.search(content.replace(b"\0", b"")):
        what = f"{path} has a DOCTYPE or declares entities, which are not read"
        raise SpecError(Problem("network.graph", what, "remove the declaration; GraphML needs none"))
    lines = _find_lines(path, content)
    read = read_drawing(path, _parse)
    _fill_in_defaults(read.graph)
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


def _fill_in_defaults(graph: nx.MultiDiGraph[Any]) -> None:
    """Give nodes and edges what the file's keys have as defaults, which networkx keeps with the graph alone."""
    for key, parts in (("node_default", graph.nodes(data=True)), ("edge_default", graph.edges(data=True))):
        for *_, attributes in parts:
            for name, value in graph.graph.get(key, {}).items():
                attributes.setdefault(name, value)


def _find_lines(path: Path, content: bytes) -> Mapping[tuple[str, ...], int]:
    """The first line of every node and edge."""
    try:
        survey = survey_graphml(str(path), content)
    except expat.ExpatError:
        return {}  # said of the whole file where it is read
    if survey.problems:
        raise SpecError(survey.problems[:SHOWN])
    return survey.lines


def _turn(edges: list[tuple[Any, Any, Any]]) -> tuple[list[Any], ...]:
    """Edges as columns."""
    return tuple(list(column) for column in zip(*edges, strict=True)) or ([], [], [])
