"""What a reader makes of a file: a networkx graph with attributes as they are written, and the lines of its parts."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

from graphbptt.declaration.graph import name_edges, name_nodes
from graphbptt.errors import Place

__all__ = ["FileGraph", "FilePlaces", "Located"]


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """Nodes, or edges by source, target and key, in columns, and the line of a file where each of them stands."""

    file: str
    lines: Sequence[int]
    columns: tuple[Sequence[Hashable], ...]

    def places(self) -> Iterator[tuple[tuple[Hashable, ...], Place]]:
        for line, items in zip(self.lines, zip(*self.columns, strict=True), strict=True):
            yield items, Place(self.file, line, 1)


@dataclass(frozen=True, slots=True, eq=False)
class FileGraph:
    """A graph as a file says it, with the places of those nodes and edges whose lines are known."""

    graph: nx.MultiDiGraph[Any]
    nodes: Located | None = None
    edges: Located | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FilePlaces:
    """What finds the places of a graph's parts by the paths under which problems of them are reported.

    There may be millions of parts, so that none are kept. `said` are the places of what the spec itself says; its
    empty path stands for what has no line.
    """

    read: FileGraph
    said: Mapping[str, Place]

    def __call__(self, wanted: Collection[str]) -> dict[str, Place]:
        graph, nodes, edges = self.read.graph, self.read.nodes, self.read.edges
        places = dict(self.said)
        names = name_nodes(graph)
        if nodes is not None:
            paths = ((f"node {names[node]}", place) for (node,), place in nodes.places())
            places.update((path, place) for path, place in paths if path in wanted)
        if edges is not None:
            named: dict[tuple[Hashable, ...], str] = {
                edge: path for edge, _, name in name_edges(graph, names) if (path := f"edge {name}") in wanted
            }
            places.update((named[edge], place) for edge, place in edges.places() if edge in named)
        return places
