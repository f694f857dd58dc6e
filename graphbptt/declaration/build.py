"""Declaration -> networkx.MultiDiGraph, Clamps and Targets: what an API user writes by hand."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import networkx as nx

from graphbptt.declaration.edge_ties.rules import pick_rules
from graphbptt.declaration.edge_ties.tie_edges import tie_edges
from graphbptt.declaration.graph import name_edges, name_nodes, show_nodes
from graphbptt.declaration.graph_files.file_graph import FileGraph, FilePlaces
from graphbptt.declaration.mistakes import format_path
from graphbptt.declaration.places import remember_places
from graphbptt.declaration.read import Declaration
from graphbptt.declaration.schema import ClampDeclaration, TargetDeclaration
from graphbptt.declaration.values import UnitRange
from graphbptt.errors import Place, Problem, SpecError, did_you_mean
from graphbptt.ir.data import Clamp, Target

Edge = tuple[Hashable, Hashable, Hashable]

__all__ = ["build_clamps", "build_graph", "build_targets"]


def build_graph(declaration: Declaration) -> nx.MultiDiGraph[str]:
    """The graph of a declaration: attributes as written, with the place of each remembered."""
    network, read = declaration.source.data["network"], declaration.file_graph
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph() if read is None else read.graph
    for key in ("cells", "constraints"):
        if network.get(key):
            graph.graph[key] = network[key]
    for node, attributes in network.get("nodes", {}).items():
        graph.add_node(node, **(attributes or {}))
    if read is not None:
        _tie_file(declaration, read)
    edges = []
    for edge in network.get("edges", []):
        attributes = {key: value for key, value in edge.items() if key not in ("from", "to")}
        edges.append((edge["from"], edge["to"], graph.add_edge(edge["from"], edge["to"], **attributes)))
    _remember(declaration, graph, edges)
    return graph


def _tie_file(declaration: Declaration, read: FileGraph) -> None:
    """Tie the edges of a file as the spec says; those that the spec adds can say so themselves."""
    network = declaration.source.data["network"]
    read.graph.graph.update(pick_rules(network))
    _remember(declaration, read.graph, ())
    tie_edges(read.graph, in_place=True)


def _remember(declaration: Declaration, graph: nx.MultiDiGraph[str], edges: Sequence[Edge]) -> None:
    """Remember the places of a graph with these edges of the spec."""
    wanted = frozenset(edges)
    named = name_edges(graph, name_nodes(graph)) if wanted else ()
    names = {edge: name for edge, _, name in named if edge in wanted}
    places = dict(_list_places(declaration, graph, [names[edge] for edge in edges]))
    if declaration.file_graph is None:
        remember_places(graph, places)
    else:
        otherwise = declaration.source.place(("network", "graph"))
        remember_places(graph, FilePlaces(declaration.file_graph, {"": otherwise, **places}))


def build_clamps(declaration: Declaration, graph: nx.DiGraph[Any]) -> tuple[Clamp, ...]:
    """The clamps of a declaration, in its order; the graph, its cells expanded, says how many units a node has."""
    problems: list[Problem] = []
    built = tuple(
        Clamp(
            _choose_nodes(declaration, graph, ("inputs", label, number), clamp, problems),
            clamp.field,
            _list_units(graph, label, clamp.units),
            clamp.at,
            clamp.mask,
        )
        for label, clamps in declaration.spec.inputs.items()
        for number, clamp in enumerate(clamps)
    )
    if problems:
        raise SpecError(problems)
    return built


def build_targets(declaration: Declaration, graph: nx.DiGraph[Any]) -> tuple[Target, ...]:
    """The targets of a declaration, in its order; the graph as in `build_clamps`."""
    problems: list[Problem] = []
    built = tuple(
        Target(
            _choose_nodes(declaration, graph, ("targets", label, number), target, problems),
            target.field,
            target.loss,
            _list_units(graph, label, target.units),
            target.at,
            target.mask,
            target.weight,
        )
        for label, targets in declaration.spec.targets.items()
        for number, target in enumerate(targets)
    )
    if problems:
        raise SpecError(problems)
    return built


def _choose_nodes(
    declaration: Declaration,
    graph: nx.DiGraph[Any],
    path: tuple[str, str, int],
    item: ClampDeclaration | TargetDeclaration,
    problems: list[Problem],
) -> Any:
    """The node of a clamp or a target, or the list of its nodes."""
    if item.nodes is not None:
        return tuple(item.nodes)
    if item.where is None:
        return path[1]
    wanted = item.where.items()
    nodes = tuple(
        node
        for node, attributes in graph.nodes(data=True)
        if all(key in attributes and attributes[key] == value for key, value in wanted)
    )
    if not nodes:
        asked = ", ".join(f"{key}: {value!r}" for key, value in wanted)
        known = {key for _, attributes in graph.nodes(data=True) for key in attributes}
        absent = sorted(item.where.keys() - known)
        remedy = did_you_mean(absent[0], sorted(known)) if absent else "write values that nodes have"
        place = declaration.source.place((path[0], path[1], "where"))
        problems.append(Problem(f"{path[0]}.{path[1]}.where", f"no node has {asked}", remedy, place))
    return nodes


def _list_units(
    graph: nx.DiGraph[Any], node: str, units: tuple[int, ...] | UnitRange | None
) -> tuple[int, ...] | None:
    if not isinstance(units, UnitRange):
        return units
    # A node that is not there, inside a cell, is reported where the graph is folded.
    return units.list(graph.nodes[node].get("units", 1) if node in graph else 1)


def _list_places(
    declaration: Declaration, graph: nx.MultiDiGraph[str], edges: Sequence[str]
) -> Iterator[tuple[str, Place]]:
    """The place of every path under which the passes report problems."""
    source, spec = declaration.source, declaration.spec
    for index, constraint in enumerate(spec.network.constraints):
        yield f"constraint {constraint}", source.place(("network", "constraints", index))
    for path in source.values:
        inner: Sequence[str | int]
        match path:
            case ("network", "nodes", str(node), *inner):
                owner = f"node {node}"
            case ("network", "edges", int(index), *inner) if index < len(edges):
                owner = f"edge {edges[index]}"
            case ("network", "cells", str(cell), "edges", int(index), *inner):
                owner = f"cell {cell}.edges.{index}"
            case ("network", "cells", str(cell), *inner):
                owner = f"cell {cell}"
            case ("network", "ties_by" | "factors" as key, *inner):
                owner = f"network.{key}"
            case ("inputs" | "targets" as section, str(label), *inner):
                owner, inner = _name_item(declaration, graph, section, label, inner)
            case _:
                continue
        text = format_path(tuple(inner))
        joint = "." if inner and isinstance(inner[0], str) else ""
        yield f"{owner}{joint}{text}", source.place(path, at_key=not inner)


def _name_item(
    declaration: Declaration,
    graph: nx.MultiDiGraph[str],
    section: str,
    label: str,
    inner: Sequence[str | int],
) -> tuple[str, Sequence[str | int]]:
    """What a clamp or a target is called in problems, and the path inside of it."""
    spec = declaration.spec
    items: Sequence[ClampDeclaration | TargetDeclaration]
    noun, items = ("clamp", spec.inputs[label]) if section == "inputs" else ("target", spec.targets[label])
    listed = bool(inner) and isinstance(inner[0], int)
    number = int(inner[0]) if listed else 0
    if items[number].chooses:
        nodes = _choose_nodes(declaration, graph, (section, label, number), items[number], [])
        return f"{noun} {show_nodes(nodes, graph)}", inner[1:] if listed else inner
    return f"{noun} {label}", inner[1:] if listed and len(items) == 1 else inner
