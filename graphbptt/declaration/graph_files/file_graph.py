"""What a reader makes of a file: a networkx graph with attributes as they are written, and the lines of its parts."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
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
        for line, *items in zip(self.lines, *self.columns, strict=True):
            yield tuple(items), Place(self.file, line, 1)


@dataclass(frozen=True, slots=True, eq=False)
class FileGraph:
    """A graph as a file says it, with the places of those nodes and edges whose lines are known."""

    graph: nx.MultiDiGraph[Any]
    nodes: Located | None = None
    edges: Located | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FilePlaces:
    """The places of a graph's parts by the paths under which problems of them are reported; listed when called.

    That is only done where there is a problem: there may be millions. `said` are the places of what the spec itself
    says; its empty path stands for what has no line.
    """

    read: FileGraph
    said: Mapping[str, Place]

    def __call__(self) -> dict[str, Place]:
        graph = self.read.graph
        places = dict(self.said)
        names = name_nodes(graph)
        if self.read.nodes is not None:
            places.update((f"node {names[node]}", place) for (node,), place in self.read.nodes.places())
        if self.read.edges is not None:
            named: dict[tuple[Hashable, ...], str] = {
                edge: name for edge, _, name in name_edges(graph, names)
            }
            places.update((f"edge {named[edge]}", place) for edge, place in self.read.edges.places())
        return places
