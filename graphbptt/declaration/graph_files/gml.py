"""GML -> a graph."""

from __future__ import annotations

from pathlib import Path

import networkx as nx

from graphbptt.declaration.graph_files.drawing import read_drawing
from graphbptt.declaration.graph_files.file_graph import FileGraph

__all__ = ["read_gml"]


def read_gml(path: Path) -> FileGraph:
    """Read a GML file.

    Raises
    ------
    SpecError
        It cannot be read, or holds no graph.
    """
    return read_drawing(path, nx.parse_gml)
