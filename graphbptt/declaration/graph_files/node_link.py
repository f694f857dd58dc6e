"""Node-link JSON, whose edges are called `links` or `edges` -> a graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx

from graphbptt.declaration.graph_files.drawing import read_drawing
from graphbptt.declaration.graph_files.file_graph import FileGraph

__all__ = ["read_node_link"]


def read_node_link(path: Path) -> FileGraph:
    """Read a node-link file.

    Raises
    ------
    SpecError
        It cannot be read, or holds no graph.
    """
    return read_drawing(path, _parse)


def _parse(text: str) -> nx.MultiDiGraph[Any]:
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("it is no mapping with nodes and edges")
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for number, node in enumerate(_list_items(data, "nodes")):
        said = {key: value for key, value in node.items() if key != "id"}
        graph.add_node(_pick_node(node, "id", f"the node {number}"), **said)
    for number, edge in enumerate(_list_items(data, "links", "edges")):
        source, target = (_pick_node(edge, end, f"the edge {number}") for end in ("source", "target"))
        said = {key: value for key, value in edge.items() if key not in ("source", "target", "key")}
        graph.add_edge(source, target, edge.get("key"), **said)
        if not data.get("directed", False) and source != target:
            graph.add_edge(target, source, edge.get("key"), **said)
    return graph


def _list_items(data: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    """The list that has one of these names."""
    name = next((name for name in names if name in data), None)
    if name is None:
        raise ValueError(f"there are no {' or '.join(names)} in it")
    items = data[name]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError(f"its {name} are no list of mappings")
    return items


def _pick_node(item: dict[str, Any], key: str, path: str) -> str | int | float:
    """What names a node."""
    name = item.get(key)
    if not isinstance(name, str | int | float):
        raise ValueError(f"{path} has no {key} that is a number or text")
    return name
