"""The networkx graph: its attributes read and checked, its nodes and edges named.

A node is called by its ``str``. An edge is called ``x->h``; where the edges between two nodes differ in
delay, ``x->h@2``; where several share a delay, ``x->h#key`` or ``x->h@2#key`` with the key of the multigraph.
Problems are reported under the paths ``node h``, ``node h.units``, ``edge x->h``, ``edge x->h.init``.

Nodes and edges may carry attributes that are no keys of the language, such as types, labels and positions: they say
nothing to the compiler, and stay on the graph. One that is spelt almost like a key is taken for a misspelt key.
"""

from __future__ import annotations

import difflib
import functools
from collections import Counter
from collections.abc import Container, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import networkx as nx
import numpy as np
from pydantic import BaseModel, ValidationError

from graphbptt.declaration.mistakes import describe_mistakes, format_path
from graphbptt.declaration.network_schema import ConnectionDeclaration, NodeDeclaration
from graphbptt.errors import Problem, SpecError
from graphbptt.ir.expression import Expression

__all__ = [
    "DeclaredEdge",
    "DeclaredGraph",
    "is_single",
    "keep_keys",
    "list_nodes",
    "name_edges",
    "name_nodes",
    "read_attributes",
    "read_graph",
    "show_nodes",
    "tell_parallel",
]

Graph = nx.DiGraph  # a MultiDiGraph is one
Declared = TypeVar("Declared", bound=BaseModel)

ANNOTATED = (NodeDeclaration, ConnectionDeclaration)
"""What may carry attributes that are no keys of the language."""

LIKENESS = 0.8
"""From which ratio of `difflib` on an attribute counts as a misspelt key."""

SHORTEST = 4
"""The letters of the shortest key that can be told from other words when it is misspelt."""


@dataclass(frozen=True, slots=True)
class DeclaredEdge:
    """An edge under its name."""

    name: str
    source: str
    target: str
    connection: ConnectionDeclaration


@dataclass(frozen=True, slots=True)
class DeclaredGraph:
    """The names of all nodes, and the nodes and edges that could be read, checked one by one."""

    names: tuple[str, ...]
    nodes: dict[str, NodeDeclaration]
    edges: tuple[DeclaredEdge, ...]


def read_graph(graph: Graph[Any], problems: list[Problem]) -> DeclaredGraph:
    """Read the attributes of every node and edge; what cannot be read is left out and noted in `problems`.

    Raises
    ------
    SpecError
        It is no directed graph, it is empty, or two nodes have one name.
    """
    names = name_nodes(graph)
    known = frozenset(names.values())
    nodes: dict[str, NodeDeclaration] = {}
    for node, attributes in graph.nodes(data=True):
        # What comes out of a cell is not read by name, so its coefficients cannot be mistaken for nodes.
        readable = () if isinstance(attributes.get("activation"), Expression) else known
        context = {"nodes": known, "readable": readable}
        declared = read_attributes(NodeDeclaration, attributes, f"node {names[node]}", problems, context)
        if declared is not None:
            nodes[names[node]] = declared
    edges: list[DeclaredEdge] = []
    taken: set[str] = set()
    for (source, target, _), attributes, name in name_edges(graph, names):
        if name in taken:
            remedy = "rename the nodes, or give the edges keys that differ as text"
            problems.append(Problem(f"edge {name}", "several edges have this name", remedy))
        taken.add(name)
        connection = read_attributes(ConnectionDeclaration, attributes, f"edge {name}", problems)
        if connection is not None:
            _check_ports(connection, f"edge {name}", names[source], names[target], problems)
            edges.append(DeclaredEdge(name, names[source], names[target], connection))
    return DeclaredGraph(tuple(names.values()), nodes, tuple(edges))


def _check_ports(
    connection: ConnectionDeclaration, path: str, source: str, target: str, problems: list[Problem]
) -> None:
    """Cells have been expanded, and with them the ports that edges may name."""
    for key, node in (("from_port", source), ("to_port", target)):
        if getattr(connection, key) is not None:
            problems.append(
                Problem(f"{path}.{key}", f"{node} is no cell, so it has no ports", "leave it out")
            )


def read_attributes(
    model: type[Declared],
    attributes: Mapping[str, Any],
    path: str,
    problems: list[Problem],
    context: Mapping[str, Any] | None = None,
) -> Declared | None:
    """Read attributes as a declaration; None where that cannot be, with the reasons added to `problems`."""
    if model in ANNOTATED:
        attributes = keep_keys(model, attributes)
    try:
        return model.model_validate(attributes, context=dict(context or {}))
    except ValidationError as error:
        for mistake in describe_mistakes(error, model, attributes):
            inner = format_path(mistake.path)
            problems.append(Problem(f"{path}.{inner}" if inner else path, mistake.what, mistake.instead))
        return None


def keep_keys(model: type[BaseModel], attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes that are keys of the language, or meant as such.

    >>> keep_keys(NodeDeclaration, {"units": 2, "activaton": "tanh", "colour": "red"})
    {'units': 2, 'activaton': 'tanh'}
    """
    if attributes.keys() <= model.model_fields.keys():
        return attributes
    return {key: value for key, value in attributes.items() if _is_meant_as_key(model, key)}


@functools.lru_cache(maxsize=10_000)
def _is_meant_as_key(model: type[BaseModel], word: object) -> bool:
    if word in model.model_fields:
        return True
    distinct = [key for key in model.model_fields if len(key) >= SHORTEST]
    return bool(difflib.get_close_matches(str(word), distinct, n=1, cutoff=LIKENESS))


def is_single(attributes: Mapping[str, Any]) -> bool:
    """Whether a node of these attributes, which nobody has checked yet, is a single unit."""
    units = attributes.get("units", 1)
    return isinstance(units, int | np.integer) and units == 1


def name_nodes(graph: Graph[Any]) -> dict[Hashable, str]:
    """The name of every node."""
    if not isinstance(graph, nx.DiGraph):
        kind = f"{type(graph).__module__.partition('.')[0]} {type(graph).__name__}"
        remedy = "an undirected graph becomes one by to_directed()"
        raise SpecError(Problem("network", f"a networkx DiGraph is needed, not a {kind}", remedy))
    if not graph:
        raise SpecError(Problem("network", "it has no nodes", "add at least one"))
    names = {node: str(node) for node in graph}
    repeated = sorted(name for name, count in Counter(names.values()).items() if count > 1)
    if repeated:
        raise SpecError(
            Problem(f"node {name}", "several nodes have this name as their str", "rename them")
            for name in repeated
        )
    return names


def show_nodes(nodes: object, names: Container[str]) -> str:
    """How the node, or the nodes, of a clamp or a target are called in messages.

    >>> show_nodes(("a", "b"), {"a", "b"})
    '[a, b]'
    """
    listed = list_nodes(nodes, names)
    if listed == (str(nodes),):
        return str(nodes)
    shown = ", ".join(listed[:3])
    return f"[{shown}]" if len(listed) <= 3 else f"[{shown}, ...] ({len(listed)} nodes)"


def list_nodes(nodes: object, names: Container[str]) -> tuple[str, ...]:
    """The names of the node or nodes; a tuple is a node where the graph has such a one."""
    if str(nodes) in names or not isinstance(nodes, tuple):
        return (str(nodes),)
    return tuple(map(str, nodes))


def name_edges(
    graph: Graph[Any], names: Mapping[Hashable, str]
) -> Iterator[tuple[tuple[Hashable, Hashable, Hashable], dict[str, Any], str]]:
    """Every edge as ((source, target, key), attributes, name)."""
    for source, neighbours in graph.adjacency():
        for target, data in neighbours.items():
            parallel: Any = data if graph.is_multigraph() else {0: data}
            if len(parallel) == 1:
                ((key, attributes),) = parallel.items()
                yield (source, target, key), attributes, f"{names[source]}->{names[target]}"
                continue
            delays = {key: attributes.get("delay", 1) for key, attributes in parallel.items()}
            for key, suffix in tell_parallel(delays).items():
                name = f"{names[source]}->{names[target]}{suffix}"
                yield (source, target, key), parallel[key], name


def tell_parallel(delays: Mapping[Hashable, Any]) -> dict[Hashable, str]:
    """What is added to the names of edges between the same two nodes, by key, so that they can be told apart.

    >>> tell_parallel({0: 1, 1: 2, 2: 2})
    {0: '@1', 1: '@2#1', 2: '@2#2'}
    """
    texts = {key: str(delay) for key, delay in delays.items()}
    sharing = Counter(texts.values())
    return {
        key: (f"@{text}" if len(sharing) > 1 else "") + (f"#{key}" if sharing[text] > 1 else "")
        for key, text in texts.items()
    }
