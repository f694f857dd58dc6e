"""What the files of drawing programs have in common: a text that networkx parses, in which no lines are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx

from graphbptt.declaration.graph_files.content import read_text
from graphbptt.declaration.graph_files.file_graph import FileGraph
from graphbptt.errors import Problem, SpecError

__all__ = ["LARGEST_DRAWING", "read_drawing"]

LARGEST_DRAWING = 64_000_000
"""The most bytes of a file whose parser makes many times as much of it."""


def read_drawing(path: Path, parse: Callable[[str], Any]) -> FileGraph:
    """The graph that a parser finds in a file; an undirected edge becomes two.

    Raises
    ------
    SpecError
        It cannot be read, or holds no graph.
    """
    text = read_text(path, LARGEST_DRAWING)
    try:
        graph: nx.Graph[Any] = parse(text)
    except Exception as error:  # the parsers of networkx raise whatever they stumble over
        said = str(error) or type(error).__name__
        what = f"{path} holds no graph that can be read: {said[:200]}"
        raise SpecError(Problem("network.graph", what, "is it what its name says?")) from None
    return FileGraph(nx.MultiDiGraph(graph if graph.is_directed() else graph.to_directed()))
