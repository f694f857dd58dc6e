"""A spec file -> Declaration: everything it says, checked key by key, every problem at its line and column.

What the parts of a network say *together* (shapes, ties, cycles) is checked later, by the passes, on the
graph that `graphbptt.declaration.build` makes of a declaration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from graphbptt.declaration.graph_files.file_graph import FileGraph
from graphbptt.declaration.graph_files.read import read_graph_file
from graphbptt.declaration.graph_files.schema import GraphFile
from graphbptt.declaration.mistakes import KeyPath, Mistake, describe_mistakes
from graphbptt.declaration.places import order_by_place
from graphbptt.declaration.schema import SpecDeclaration
from graphbptt.declaration.source import Source, read_source
from graphbptt.errors import SpecError, did_you_mean

__all__ = ["Declaration", "read_declaration"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a spec file declares.

    Attributes
    ----------
    source : Source
        The text of it, as plain data with places.
    spec : SpecDeclaration
        The meaning of it: `network`, `inputs`, `targets`, `data`, `training`, `backend`, `dtype`,
        `precision`, `seed`, `description`.
    file_graph : FileGraph, optional
        The graph, where the network names a file.
    """

    source: Source
    spec: SpecDeclaration
    file_graph: FileGraph | None = None


def read_declaration(path: str | Path, overrides: Sequence[str] = ()) -> Declaration:
    """Read and check a spec file.

    Parameters
    ----------
    path : str or Path
        A YAML or JSON file.
    overrides : sequence of str
        Values that replace those of the file, e.g. ``"training.epochs=5"``.

    Raises
    ------
    SpecError
        With every problem found, each as ``file:line:column: path: what is wrong; what to write instead``.
    """
    source = read_source(path, overrides)
    file_graph = _read_file_graph(source, Path(path).parent)
    nodes = _find_nodes(source.data)
    if file_graph is not None:
        nodes = {**dict(file_graph.graph.nodes), **nodes}
    names = NodeNames(nodes)
    mistakes = list(_find_strangers(source.data, names))
    context = {"nodes": names, "readable": names, "cells": _find_cells(source.data)}
    try:
        spec = SpecDeclaration.model_validate(source.data, context=context)
    except ValidationError as error:
        mistakes = [*describe_mistakes(error, SpecDeclaration, source.data), *mistakes]
    if mistakes:
        raise SpecError(order_by_place(map(source.report, mistakes)))
    return Declaration(source, spec, file_graph)


def _read_file_graph(source: Source, folder: Path) -> FileGraph | None:
    """The graph in the file that the network names, if it names one.

    Raises
    ------
    SpecError
        It cannot be read, or `network` says what does not go with a file.
    """
    network = source.data.get("network")
    if not isinstance(network, dict) or "graph" not in network:
        return None
    try:
        declared = GraphFile.model_validate(network, context={"cells": _find_cells(source.data)})
    except ValidationError as error:
        mistakes = describe_mistakes(error, GraphFile, network)
        raise SpecError(
            order_by_place(
                source.report(replace(mistake, path=("network", *mistake.path))) for mistake in mistakes
            )
        ) from None
    try:
        return read_graph_file(declared, folder)
    except SpecError as error:
        raise SpecError(
            problem
            if problem.place is not None
            else replace(problem, place=source.place(tuple(problem.path.split("."))))
            for problem in error.problems
        ) from None


class NodeNames(frozenset[str]):
    """The names of the declared nodes. What is inside of a cell is known where cells are expanded, not here."""

    cells: tuple[str, ...]

    def __new__(cls, nodes: Mapping[str, Any]) -> NodeNames:
        names = super().__new__(cls, nodes)
        names.cells = tuple(
            f"{name}." for name, node in nodes.items() if isinstance(node, dict) and "cell" in node
        )
        return names

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and name.startswith(self.cells))


def _find_nodes(data: Mapping[str, Any]) -> dict[str, Any]:
    """The nodes, whatever else may be wrong."""
    return _find_mapping(data, "nodes")


def _find_cells(data: Mapping[str, Any]) -> dict[str, Any]:
    """The user's own cells, whatever else may be wrong."""
    return _find_mapping(data, "cells")


def _find_mapping(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    network = data.get("network")
    found = network.get(key) if isinstance(network, dict) else None
    return found if isinstance(found, dict) else {}


def _find_strangers(data: Mapping[str, Any], names: NodeNames) -> Iterator[Mistake]:
    """Every name of a node that is not declared."""
    nodes = list(names)
    declared = set(nodes)
    network = data.get("network")
    edges = network.get("edges") if isinstance(network, dict) else None
    for index, edge in enumerate(edges if isinstance(edges, list) else ()):
        for end in ("from", "to"):
            name = edge.get(end) if isinstance(edge, dict) else None
            if isinstance(name, str) and name not in declared:
                path = ("network", "edges", index, end)
                inside = name in names and f"write {end}: {name.partition('.')[0]}, {end}_port: ..."
                yield Mistake(path, f"unknown node {name!r}", inside or did_you_mean(name, nodes))
    for section in ("inputs", "targets"):
        items = data.get(section)
        for name, said in items.items() if isinstance(items, dict) else ():
            listed = list(_list_chosen(said, (section, name)))
            if name not in names and not listed:
                yield Mistake(
                    (section, name), f"unknown node {name!r}", did_you_mean(name, nodes), at_key=True
                )
            for place, node in listed:
                if isinstance(node, str) and node not in names:
                    yield Mistake(place, f"unknown node {node!r}", did_you_mean(node, nodes))


def _list_chosen(said: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """The nodes that clamps or targets list, each with its path; a `where`, which chooses some later, counts as none
    of a name."""
    items = said if isinstance(said, list) else [said]
    for number, item in enumerate(items):
        inner = (*path, number) if isinstance(said, list) else path
        if isinstance(item, dict) and isinstance(item.get("nodes"), list):
            yield from (((*inner, "nodes", k), node) for k, node in enumerate(item["nodes"]))
        if isinstance(item, dict) and item.get("where") is not None:
            yield (*inner, "where"), None
