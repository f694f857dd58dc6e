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
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for node in data["nodes"]:
        graph.add_node(node["id"], **{key: value for key, value in node.items() if key != "id"})
    for edge in data["links"] if "links" in data else data["edges"]:
        said = {key: value for key, value in edge.items() if key not in ("source", "target", "key")}
        graph.add_edge(edge["source"], edge["target"], edge.get("key"), **said)
        if not data.get("directed", False) and edge["source"] != edge["target"]:
            graph.add_edge(edge["target"], edge["source"], edge.get("key"), **said)
    return graph
