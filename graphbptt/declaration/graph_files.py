"""Graphs in files of their own, ``network: {graph: worm.graphml}`` -> the nodes and edges of a spec.

    network := {graph: path, node_defaults, edge_defaults}

GraphML, GML and node-link JSON are read. Attributes that are keys of the language mean what they mean in a spec, and
stand before the defaults; a number as `weight` is the starting value; what else a file says of its nodes and edges
(labels, colours, positions) is left out. An undirected edge becomes two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import networkx as nx
from pydantic import Field, ValidationError

from graphbptt.declaration.choices import Section
from graphbptt.declaration.mistakes import describe_mistakes, format_path
from graphbptt.declaration.network_schema import ConnectionDeclaration, NodeDeclaration
from graphbptt.declaration.source import Source
from graphbptt.errors import Problem, SpecError, did_you_mean

__all__ = ["GraphFile", "open_graph_file", "read_graph_file"]

LARGEST_GRAPH = 64_000_000
"""The most bytes of a graph file: its edges become an entry of a spec each."""

ENTITIES = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
"""What can make a small XML file large; no GraphML writer needs it."""


class GraphFile(Section):
    """``network:`` where the graph is in a file."""

    graph: str = Field(
        min_length=1, description="A GraphML, GML or node-link JSON file, relative to the spec."
    )
    node_defaults: dict[str, Any] = Field(
        default={}, description="Attributes of nodes that do not say otherwise."
    )
    edge_defaults: dict[str, Any] = Field(
        default={}, description="Attributes of edges that do not say otherwise."
    )


def _read_json(text: str) -> nx.DiGraph[Any]:
    """Node-link JSON, whose edges are called `links` or `edges`."""
    data = json.loads(text)
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for node in data["nodes"]:
        graph.add_node(node["id"], **{key: value for key, value in node.items() if key != "id"})
    for edge in data["links"] if "links" in data else data["edges"]:
        said = {key: value for key, value in edge.items() if key not in ("source", "target", "key")}
        graph.add_edge(edge["source"], edge["target"], **said)
        if not data.get("directed", False) and edge["source"] != edge["target"]:
            graph.add_edge(edge["target"], edge["source"], **said)
    return graph


READERS: Mapping[str, Callable[[str], Any]] = {
    ".graphml": nx.parse_graphml,
    ".gml": nx.parse_gml,
    ".json": _read_json,
}


def read_graph_file(path: Path) -> nx.DiGraph[Any]:
    """The graph in a file, directed, its attributes as they are written.

    Raises
    ------
    SpecError
        There is no such file, it is too large, of an unknown kind, holds no graph, or declares entities.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        what = f"a graph file of unknown kind {path.suffix!r}"
        raise SpecError(Problem("network.graph", what, did_you_mean(path.suffix, list(READERS))))
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_GRAPH + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        what = f"{path} cannot be read: {reason}"
        raise SpecError(Problem("network.graph", what, "a path is relative to the spec")) from None
    if len(content) > LARGEST_GRAPH:
        what = f"{path} is larger than {LARGEST_GRAPH:,} bytes"
        raise SpecError(Problem("network.graph", what, "build the graph in Python and compile it there"))
    # Without its zeros, so that UTF-16 hides nothing.
    if path.suffix.lower() == ".graphml" and ENTITIES.search(content.replace(b"\0", b"")):
        what = f"{path} has a DOCTYPE or declares entities, which are not read"
        raise SpecError(Problem("network.graph", what, "remove the declaration; GraphML needs none"))
    try:
        graph = reader(content.decode("utf-8-sig"))
    except Exception as error:  # the readers of networkx raise whatever they stumble over
        said = str(error) or type(error).__name__
        what = f"{path} holds no graph that can be read: {said[:200]}"
        raise SpecError(Problem("network.graph", what, "is it what its name says, in UTF-8?")) from None
    directed: nx.DiGraph[Any] = graph if graph.is_directed() else graph.to_directed()
    return directed


def open_graph_file(source: Source, folder: Path) -> None:
    """Put the nodes and edges of the file that the network names, if it names one, in place of its name.

    Raises
    ------
    SpecError
        The file cannot be read as a graph, or `network` says what does not go with a file.
    """
    network = source.data.get("network")
    if not isinstance(network, dict) or "graph" not in network:
        return
    try:
        declared = GraphFile.model_validate(network)
    except ValidationError as error:
        mistakes = describe_mistakes(error, GraphFile, network)
        raise SpecError(
            Problem(
                format_path(("network", *mistake.path)),
                mistake.what,
                mistake.instead,
                source.place(("network", *mistake.path), mistake.at_key),
            )
            for mistake in mistakes
        ) from None
    try:
        graph = read_graph_file(folder / declared.graph)
    except SpecError as error:
        place = source.place(("network", "graph"))
        raise SpecError(Problem(p.path, p.what, p.instead, place) for p in error.problems) from None
    source.data["network"] = list_graph(graph, declared)


def list_graph(graph: nx.DiGraph[Any], declared: GraphFile) -> dict[str, Any]:
    """The nodes and edges as a spec would list them.

    >>> graph = nx.DiGraph([(1, 2, {"weight": 0.5, "colour": "red"})])
    >>> list_graph(graph, GraphFile(graph="a.gml", edge_defaults={"delay": 2}))["edges"]
    [{'from': '1', 'to': '2', 'delay': 2, 'init': 0.5}]
    """
    nodes = {
        str(node): {**declared.node_defaults, **_keep_known(attributes, NodeDeclaration.model_fields)}
        for node, attributes in graph.nodes(data=True)
    }
    edges = []
    for start, end, attributes in graph.edges(data=True):
        said = dict(attributes)
        if isinstance(said.get("weight"), int | float):
            said["init"] = said.pop("weight")
        known = _keep_known(said, ConnectionDeclaration.model_fields)
        edges.append({"from": str(start), "to": str(end), **declared.edge_defaults, **known})
    return {"nodes": nodes, "edges": edges}


def _keep_known(attributes: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if key in known}
