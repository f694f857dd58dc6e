"""Survey -> families: the parameters of like nodes and edges, each family with the columns in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.graph import DeclaredEdge
from graphbptt.declaration.network_schema import Parameter
from graphbptt.errors import Problem
from graphbptt.ir.data import Clamp
from graphbptt.passes.coalesce.survey import Survey
from graphbptt.passes.coalesce.ties import Family
from graphbptt.passes.fold_edges import draw_edge
from graphbptt.passes.fold_nodes import list_parameters
from graphbptt.passes.fold_ties import DeclaredParameter

__all__ = ["EdgeFamilies", "NodeFamilies", "find_edge_families", "find_node_families"]

Array = npt.NDArray[Any]

NO_TIE = -1


@dataclass(frozen=True, slots=True, eq=False)
class EdgeFamilies:
    """The families of single edges; `number` is the family of an edge, -1 of wires and of edges that are no number;
    `column` its place in the family."""

    families: tuple[Family, ...]
    number: Array
    column: Array


@dataclass(frozen=True, slots=True, eq=False)
class NodeFamilies:
    """For every variety of nodes of one unit the family of each of its parameters, by key; `variety` is that of a
    node, `column` its place in the families."""

    families: tuple[dict[str, Family], ...]
    variety: Array
    column: Array


def find_edge_families(survey: Survey, problems: list[Problem]) -> EdgeFamilies:
    """Edges of one kind whose sources have one sign."""
    edges, names = survey.edges, survey.nodes.names
    declared = survey.declared()
    signs = [node.sign for node in survey.node]
    distinct = list(dict.fromkeys(signs))
    sign = np.array([distinct.index(each) for each in signs])[survey.nodes.kind][edges.source]
    code = np.where(survey.single, edges.kind * len(distinct) + sign, -1)
    families: list[Family] = []
    number = np.full(len(code), -1)
    column = np.zeros(len(code), np.int64)
    for value in np.unique(code[code >= 0]):
        owners = np.flatnonzero(code == value)
        first = int(owners[0])
        source, target = names[edges.source[first]], names[edges.target[first]]
        connection = survey.connection[edges.kind[first]]
        drawn = draw_edge(
            DeclaredEdge(edges.name(first, names), source, target, connection), declared, problems
        )
        if drawn.weight is not None:
            number[owners], column[owners] = len(families), np.arange(len(owners))
            columns = edges.tie[owners], edges.scale[owners], edges.init[owners]
            name = partial(edges.name, names=names)
            families.append(Family(drawn.weight, owners, *columns, name, drawn.connection.sign))
    return EdgeFamilies(tuple(families), number, column)


def find_node_families(survey: Survey, clamps: Sequence[Clamp], problems: list[Problem]) -> NodeFamilies:
    """Nodes of one kind that have as many initial rows, where that matters, and a bias alike."""
    nodes = survey.nodes
    started = {clamp.node for clamp in clamps if clamp.at == "start"}
    timed = np.array([isinstance(node.initial, Parameter) for node in survey.node])[nodes.kind]
    timed |= np.array([name in started for name in nodes.names])
    unsaid = np.array([node.bias is None for node in survey.node])[nodes.kind]
    keys = np.stack([nodes.kind, np.where(timed, survey.history, 0), unsaid & survey.weighted])
    one = np.array([node.units == 1 for node in survey.node])[nodes.kind]
    variety = np.unique(keys, axis=1, return_inverse=True)[1].reshape(len(nodes.names))
    column = np.zeros(len(variety), np.int64)
    families: list[dict[str, Family]] = []
    for number in range(int(variety.max()) + 1):
        owners = np.flatnonzero(variety == number)
        first = int(owners[0])
        column[owners] = np.arange(len(owners))
        if not one[first]:
            families.append({})
            continue
        name, node = nodes.names[first], survey.node[nodes.kind[first]]
        history = int(survey.history[first])
        listed = list_parameters(name, node, history, bool(survey.weighted[first]), problems)
        families.append(
            {
                parameter.name.removeprefix(f"{name}."): _gather_owners(survey, owners, parameter, name)
                for parameter in listed
            }
        )
    return NodeFamilies(tuple(families), variety, column)


def _gather_owners(survey: Survey, owners: Array, first: DeclaredParameter, name: str) -> Family:
    nodes, ties = survey.nodes, survey.edges.ties
    key = first.name.removeprefix(f"{name}.")
    said = [nodes.numbers[owner].get(key) for owner in owners]
    tie = np.array([NO_TIE if one is None or one.tie is None else ties[one.tie] for one in said])
    scale = np.array([1.0 if one is None else one.scale for one in said])
    init = np.array([np.nan if one is None else one.init for one in said])
    return Family(first, owners, tie, scale, init, lambda owner: f"{nodes.names[owner]}.{key}")
