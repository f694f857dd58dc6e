"""GraphML -> a graph."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import networkx as nx

from graphbptt.declaration.graph_files.content import read_content
from graphbptt.declaration.graph_files.drawing import LARGEST_DRAWING, read_drawing
from graphbptt.declaration.graph_files.file_graph import FileGraph
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
    # Without its zeros, so that UTF-16 hides nothing.
    if ENTITIES.search(read_content(path, LARGEST_DRAWING).replace(b"\0", b"")):
        what = f"{path} has a DOCTYPE or declares entities, which are not read"
        raise SpecError(Problem("network.graph", what, "remove the declaration; GraphML needs none"))
    return read_drawing(path, _parse)


def _parse(text: str) -> nx.Graph[Any]:
    graph: nx.Graph[Any] = nx.parse_graphml(text)
    return graph
