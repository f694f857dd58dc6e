"""networkx graph -> networkx graph: nodes of one unit are put together into populations, their edges into blocks.

A connectome or a drawing has a node for every unit. What comes out of here is an ordinary graph, in the language's own
terms: a population for each class of like nodes, a dense or a sparse connection for all like edges between two of them,
and one array for all weights that are tied by scales alone, which the connections read through index maps. So no other
pass knows of single units; `Aliases` remembers what became of the user's names. All of it is columns and arrays, for
there may be millions of edges.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import networkx as nx
import numpy as np

from graphbptt.declaration.graph import DeclaredGraph, is_single, name_edges, name_nodes
from graphbptt.declaration.places import locate
from graphbptt.errors import Problem, SpecError
from graphbptt.ir.aliases import Aliases, EntryNames
from graphbptt.ir.data import Clamp, Columns, Target
from graphbptt.passes.coalesce.blocks import Block, find_blocks
from graphbptt.passes.coalesce.classes import Classes, choose_prefix, declare_class, declare_tie, sort_nodes
from graphbptt.passes.coalesce.families import (
    EdgeFamilies,
    NodeFamilies,
    find_edge_families,
    find_node_families,
)
from graphbptt.passes.coalesce.survey import Survey, survey_graph
from graphbptt.passes.coalesce.ties import JointArrays, fold_families
from graphbptt.passes.fold_data import fold_clamps, fold_targets

__all__ = ["COALESCE_FROM", "Coalesced", "coalesce_units"]

Graph = nx.DiGraph
Item = TypeVar("Item", Clamp, Target)

COALESCE_FROM = 64
"""From how many nodes of one unit on they are put together: smaller graphs run well as they are drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Coalesced:
    """The graph, the inputs and the targets in terms of its nodes, and the user's own names."""

    graph: Graph[Any]
    inputs: Sequence[Clamp]
    targets: Sequence[Target]
    aliases: Aliases

    def locate(self, error: SpecError) -> SpecError:
        """The same error, each of its problems with its place, and with what the populations are that it speaks of."""
        return locate(SpecError(map(self._explain, error.problems)), self.graph)

    def _explain(self, problem: Problem) -> Problem:
        meant = self.aliases.explain(f"{problem.path} {problem.what}")
        return replace(problem, what=f"{problem.what} ({meant})") if meant else problem


def coalesce_units(
    graph: Graph[Any],
    inputs: Sequence[Clamp] = (),
    targets: Sequence[Target] = (),
    threshold: int = COALESCE_FROM,
) -> Coalesced:
    """Put the single units of a graph together.

    Parameters
    ----------
    graph : networkx.DiGraph or networkx.MultiDiGraph
        Without cells. One with fewer nodes of one unit than `threshold` is left as it is.
    inputs, targets : sequence of Clamp, sequence of Target
        As the user gave them.

    Raises
    ------
    SpecError
        Nodes, edges, ties, inputs or targets cannot be what was declared.

    Examples
    --------
    >>> ring = nx.cycle_graph(4, create_using=nx.DiGraph)
    >>> nx.set_node_attributes(ring, "tanh", "activation")
    >>> coalesced = coalesce_units(ring, threshold=0)
    >>> coalesced.graph.nodes["units0"]["units"], coalesced.aliases.places["3"]
    (4, ('units0', 3))
    """
    names = name_nodes(graph)
    if sum(is_single(attributes) for _, attributes in graph.nodes(data=True)) < max(threshold, 1):
        return Coalesced(graph, inputs, targets, Aliases(names))
    try:
        return _coalesce(graph, names, inputs, targets)
    except SpecError as error:
        raise locate(error, graph) from None


def _coalesce(
    graph: Graph[Any], names: Mapping[Hashable, str], inputs: Sequence[Clamp], targets: Sequence[Target]
) -> Coalesced:
    problems: list[Problem] = []
    survey = survey_graph(graph)
    declared = DeclaredGraph(survey.nodes.names, survey.declared(), ())
    clamps = fold_clamps(inputs, declared, problems)
    wanted = [target for _, target in fold_targets(targets, declared, problems)]
    edges = find_edge_families(survey, problems)
    nodes = find_node_families(survey, clamps, problems)
    if problems:
        raise SpecError(problems)
    joint = _fold_ties(survey, edges, nodes, problems)
    if problems:
        raise SpecError(problems)
    classes = sort_nodes(survey, nodes, joint, clamps)
    drawn, entries, groups = _draw_graph(graph, survey, edges, nodes, joint, classes)
    places = {
        name: (classes.names[population], int(unit))
        for name, population, unit in zip(survey.nodes.names, classes.population, classes.unit, strict=True)
        if len(classes.members[population]) > 1
    }
    shapes = {
        f"{classes.names[number]}.{key}": family.first.shape
        for number, members in enumerate(classes.members)
        for key, family in nodes.families[nodes.variety[members[0]]].items()
        if not survey.alone[members[0]] and not family.first.shape
    }
    ties = [EntryNames(array.name, array.keys, array.shape) for array in joint.arrays]
    aliases = Aliases(names, places, shapes, (*ties, *entries), groups)
    return Coalesced(drawn, list(_join(clamps, places)), list(_join(wanted, places)), aliases)


def _fold_ties(
    survey: Survey, edges: EdgeFamilies, nodes: NodeFamilies, problems: list[Problem]
) -> JointArrays:
    """The joint arrays of all ties that only join numbers, and every rule about what is tied checked."""
    families = list(edges.families)
    odd = np.append(survey.odd_tie, False)
    for own in nodes.families:
        families += filter(None, (family.pick(~odd[family.tie]) for family in own.values()))
    ties = list(survey.edges.ties)
    return fold_families(families, ties, choose_prefix("ties", [*ties, *survey.nodes.names]), problems)


def _draw_graph(
    graph: Graph[Any],
    survey: Survey,
    edges: EdgeFamilies,
    nodes: NodeFamilies,
    joint: JointArrays,
    classes: Classes,
) -> tuple[nx.MultiDiGraph[Any], list[EntryNames], dict[str, str]]:
    """The coalesced graph, the names of the weights in its blocks, and those of edges that stay by themselves."""
    drawn: nx.MultiDiGraph[Any] = nx.MultiDiGraph(**graph.graph)
    for name, members in zip(classes.names, classes.members, strict=True):
        if survey.alone[members[0]]:
            drawn.add_node(name, **_keep_node(survey, nodes, joint, int(members[0])))
        else:
            drawn.add_node(name, **declare_class(survey, nodes, joint, members, name))
    kept: dict[Any, str] = {}
    for source, target, key, attributes, own in _keep_edges(survey, edges, joint, classes):
        kept[source, target, drawn.add_edge(source, target, key=key, **attributes)] = own
    blocks: dict[Any, Block] = {}
    for block in find_blocks(survey, edges, joint, classes):
        key = drawn.add_edge(block.source, block.target, key=block.key, **block.attributes)
        blocks[block.source, block.target, key] = block
    named = {edge: name for edge, _, name in name_edges(drawn, {node: node for node in drawn})}
    entries = [
        EntryNames(named[edge], block.keys, block.shape)
        for edge, block in blocks.items()
        if block.keys is not None
    ]
    return drawn, entries, {own: named[edge] for edge, own in kept.items() if own != named[edge]}


def _keep_node(survey: Survey, nodes: NodeFamilies, joint: JointArrays, index: int) -> dict[str, Any]:
    """The attributes of a node that stays by itself; its ties to joint arrays are renamed."""
    attributes = dict(survey.nodes.attributes[index])
    column = nodes.column[[index]]
    for key, family in nodes.families[nodes.variety[index]].items():
        if family.tied and joint.number[family.tie[column[0]]] >= 0:
            said = declare_tie(family, column, joint, family.first.shape or (1,))
            if key in ("bias", "initial"):
                attributes[key] = said
            else:
                attributes["coefficients"] = {**attributes["coefficients"], key: said}
    return attributes


def _keep_edges(
    survey: Survey, families: EdgeFamilies, joint: JointArrays, classes: Classes
) -> Iterator[tuple[str, str, Hashable, dict[str, Any], str]]:
    """The edges that are no part of a block: (source, target, key, attributes, name)."""
    table, names = survey.edges, survey.nodes.names
    alone = survey.alone[table.source] & survey.alone[table.target]
    for edge in np.flatnonzero(alone | ~survey.single).tolist():
        source, target = int(table.source[edge]), int(table.target[edge])
        own = table.name(edge, names)
        attributes = dict(table.find_attributes(edge))
        if families.number[edge] >= 0 and table.tie[edge] >= 0:
            family = families.families[families.number[edge]]
            attributes |= declare_tie(family, families.column[[edge]], joint, family.first.shape)
        ends = [classes.names[classes.population[end]] for end in (source, target)]
        for key, end in (("from_units", source), ("to_units", target)):
            if len(classes.members[classes.population[end]]) > 1:
                attributes[key] = [int(classes.unit[end])]
        plain = ends == [names[source], names[target]]
        yield ends[0], ends[1], table.key(edge) if plain else own, attributes, own


def _join(items: Sequence[Item], places: Mapping[str, tuple[str, int]]) -> Iterator[Item]:
    """The items in terms of populations; those of one list that lie in one population together."""
    for parts in _split_lists(items):
        joined: dict[str, list[Item]] = {}
        for item in parts:
            if item.node in places:
                joined.setdefault(places[item.node][0], []).append(item)
            else:
                joined[item.node] = [item]
        for population, found in joined.items():
            units = tuple(places[item.node][1] for item in found if item.node in places)
            yield _merge(found, population, units) if units else found[0]


def _split_lists(items: Sequence[Item]) -> Iterator[list[Item]]:
    """The items that were put on several nodes as one, each time together; every other one by itself."""
    parts: list[Item] = []
    for item in items:
        if parts and not _continues(parts[-1], item):
            yield parts
            parts = []
        parts.append(item)
    if parts:
        yield parts


def _continues(before: Item, item: Item) -> bool:
    one, other = before.columns, item.columns
    if one is None or other is None or one.width != other.width or other.indices[0] <= one.indices[-1]:
        return False
    return replace(before, node=item.node, columns=other) == item


def _merge(parts: Sequence[Item], population: str, units: tuple[int, ...]) -> Item:
    """Parts of one list that are these units of a population."""
    columns = parts[0].columns
    if columns is not None:
        indices = [index for item in parts if item.columns is not None for index in item.columns.indices]
        columns = Columns(tuple(indices), columns.width)
    return replace(parts[0], node=population, units=units, columns=columns)
