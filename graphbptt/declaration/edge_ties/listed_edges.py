"""The edges of a graph in columns, a row an edge, so that rules are applied to all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

from graphbptt.declaration.graph import is_single

__all__ = ["ListedEdges", "list_edges"]

Graph = nx.DiGraph
SHOWN = 5
"""How many edges or nodes of a kind a message names."""


@dataclass(frozen=True, slots=True, eq=False)
class ListedEdges:
    """Those edges of a graph that have no tie of their own; `nodes` are the attributes of all of its nodes."""

    nodes: Mapping[Hashable, Mapping[str, Any]]
    sources: Sequence[Hashable]
    targets: Sequence[Hashable]
    attributes: Sequence[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.attributes)

    def column(self, name: str) -> list[Any]:
        """An attribute of every edge, None where there is none."""
        return [attributes.get(name) for attributes in self.attributes]

    def show(self, rows: Sequence[int], more: Callable[[int], str] = lambda row: "") -> str:
        """The first of these edges, each with what else there is to say of it."""
        shown = [f"{self.sources[row]}->{self.targets[row]}{more(row)}" for row in rows[:SHOWN]]
        return show_first(shown, len(rows))

    def populations(self) -> frozenset[Hashable]:
        """The nodes that are no single units."""
        return frozenset(
            node
            for node, attributes in self.nodes.items()
            if not is_single(attributes) or attributes.get("cell") is not None
        )


def show_first(items: Iterable[object], count: int) -> str:
    """The first of `count` items as text."""
    shown = list(map(str, items))[:SHOWN]
    return ", ".join(shown) + (", ..." if count > len(shown) else "")


def list_edges(graph: Graph[Any]) -> ListedEdges:
    """The edges of a graph that have no tie of their own."""
    sources: list[Hashable] = []
    targets: list[Hashable] = []
    free: list[dict[str, Any]] = []
    for source, target, attributes in graph.edges(data=True):
        if attributes.get("tie") is None:
            sources.append(source)
            targets.append(target)
            free.append(attributes)
    return ListedEdges(dict(graph.nodes(data=True)), sources, targets, free)
