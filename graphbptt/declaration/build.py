"""Declaration -> networkx.MultiDiGraph, Clamps and Targets: what an API user writes by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import networkx as nx

from graphbptt.declaration.edge_ties.rules import TieRules
from graphbptt.declaration.edge_ties.tie_edges import tie_edges
from graphbptt.declaration.graph import name_edges, name_nodes
from graphbptt.declaration.graph_files.file_graph import FileGraph, FilePlaces
from graphbptt.declaration.mistakes import format_path
from graphbptt.declaration.places import remember_places
from graphbptt.declaration.read import Declaration
from graphbptt.declaration.values import UnitRange
from graphbptt.errors import Place
from graphbptt.ir.data import Clamp, Target

__all__ = ["build_clamps", "build_graph", "build_targets"]


def build_graph(declaration: Declaration) -> nx.MultiDiGraph[str]:
    """The graph of a declaration: attributes as written, with the place of each remembered."""
    if declaration.file_graph is not None:
        return _take_graph(declaration, declaration.file_graph)
    network = declaration.source.data["network"]
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    if network.get("cells"):
        graph.graph["cells"] = network["cells"]
    for node, attributes in network["nodes"].items():
        graph.add_node(node, **(attributes or {}))
    if "constraints" in network:
        graph.graph["constraints"] = list(network["constraints"])
    edges: list[tuple[str, str, Any]] = []
    for edge in network.get("edges", []):
        attributes = {key: value for key, value in edge.items() if key not in ("from", "to")}
        key = graph.add_edge(edge["from"], edge["to"], **attributes)
        edges.append((edge["from"], edge["to"], key))
    names = {edge: name for edge, _, name in name_edges(graph, name_nodes(graph))}
    remember_places(graph, dict(_list_places(declaration, [names[edge] for edge in edges])))
    return graph


def _take_graph(declaration: Declaration, read: FileGraph) -> nx.MultiDiGraph[str]:
    """The graph of a file, with what the spec says besides."""
    network = declaration.source.data["network"]
    graph = read.graph
    for key in ("cells", "constraints", *TieRules.model_fields):
        if network.get(key):
            graph.graph[key] = network[key]
    otherwise = declaration.source.place(("network", "graph"))
    said = dict(_list_places(declaration, ()))
    remember_places(graph, FilePlaces(read, {"": otherwise, **said}))
    tie_edges(graph, in_place=True)
    return graph


def build_clamps(declaration: Declaration, graph: nx.DiGraph[Any]) -> tuple[Clamp, ...]:
    """The clamps of a declaration, in its order; the graph, its cells expanded, says how many units a node has."""
    return tuple(
        Clamp(node, clamp.field, _list_units(graph, node, clamp.units), clamp.at, clamp.mask)
        for node, clamps in declaration.spec.inputs.items()
        for clamp in clamps
    )


def build_targets(declaration: Declaration, graph: nx.DiGraph[Any]) -> tuple[Target, ...]:
    """The targets of a declaration, in its order; the graph as in `build_clamps`."""
    return tuple(
        Target(
            node,
            target.field,
            target.loss,
            _list_units(graph, node, target.units),
            target.at,
            target.mask,
            target.weight,
        )
        for node, targets in declaration.spec.targets.items()
        for target in targets
    )


def _list_units(
    graph: nx.DiGraph[Any], node: str, units: tuple[int, ...] | UnitRange | None
) -> tuple[int, ...] | None:
    if not isinstance(units, UnitRange):
        return units
    # A node that is not there, inside a cell, is reported where the graph is folded.
    return units.list(graph.nodes[node].get("units", 1) if node in graph else 1)


def _list_places(declaration: Declaration, edges: Sequence[str]) -> Iterator[tuple[str, Place]]:
    """The place of every path under which the passes report problems."""
    source, spec = declaration.source, declaration.spec
    for index, constraint in enumerate(spec.network.constraints):
        yield f"constraint {constraint}", source.place(("network", "constraints", index))
    for path in source.values:
        inner: Sequence[str | int]
        match path:
            case ("network", "nodes", str(node), *inner):
                owner = f"node {node}"
            case ("network", "edges", int(index), *inner):
                owner = f"edge {edges[index]}"
            case ("network", "cells", str(cell), "edges", int(index), *inner):
                owner = f"cell {cell}.edges.{index}"
            case ("network", "cells", str(cell), *inner):
                owner = f"cell {cell}"
            case ("network", "ties_by" | "factors" as key, *inner):
                owner = f"network.{key}"
            case ("inputs" | "targets" as section, str(node), *inner):
                owner = f"clamp {node}" if section == "inputs" else f"target {node}"
                alone = len(spec.inputs[node] if section == "inputs" else spec.targets[node]) == 1
                if alone and inner[:1] == [0]:
                    inner = inner[1:]
            case _:
                continue
        text = format_path(tuple(inner))
        joint = "." if inner and isinstance(inner[0], str) else ""
        yield f"{owner}{joint}{text}", source.place(path, at_key=not inner)
