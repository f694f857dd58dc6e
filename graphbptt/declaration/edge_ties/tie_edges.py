"""Edges with the ties that a graph's `ties_by` and `factors` make, as if each had been written by hand.

Every edge gets ``tie: {group, scale}``. A group is called by the values that its edges have in common, joined by
colons; a pair of edges by its nodes, ``a--b``. The scale is the product of the edge's factors. Between single units a
weight is scalar where nothing else is said, and `init` is what the *shared* weight starts with. An edge with a tie of
its own keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx

from graphbptt.declaration.edge_ties.by_attributes import group_by_attributes
from graphbptt.declaration.edge_ties.factors import multiply_factors
from graphbptt.declaration.edge_ties.listed_edges import ListedEdges, list_edges
from graphbptt.declaration.edge_ties.rules import SYMMETRIC, TieRules, pick_rules
from graphbptt.declaration.edge_ties.shared_init import share_inits
from graphbptt.declaration.edge_ties.symmetric import group_pairs
from graphbptt.declaration.graph import keep_keys, read_attributes
from graphbptt.declaration.network_schema import ConnectionDeclaration
from graphbptt.declaration.places import locate
from graphbptt.errors import Problem, SpecError

__all__ = ["tie_edges"]

Graph = nx.DiGraph


def tie_edges(graph: Graph[Any], in_place: bool = False) -> Graph[Any]:
    """Tie the edges of a graph as its `ties_by` says; a graph that says nothing is returned as it is.

    Parameters
    ----------
    graph : networkx.DiGraph or networkx.MultiDiGraph
        Its attributes ``ties_by`` and ``factors`` are the keys of a spec.
    in_place : bool
        Whether to change the graph itself rather than a copy.

    Raises
    ------
    SpecError
        An attribute is unknown or absent at a node or an edge, a factor is no number or 0, or an edge has no edge
        back; with the number of edges, and the first of them.

    Examples
    --------
    >>> graph = nx.DiGraph(ties_by=["source_type", "target_type"], factors=["count"])
    >>> graph.add_nodes_from([("a", {"type": "E"}), ("b", {"type": "E"}), ("c", {"type": "I"})])
    >>> graph.add_edges_from([("a", "b", {"count": 1}), ("a", "c", {"count": 2}), ("b", "c", {"count": 5})])
    >>> [attributes["tie"] for _, _, attributes in tie_edges(graph).edges(data=True)]
    [{'group': 'E:E', 'scale': 1.0}, {'group': 'E:I', 'scale': 2.0}, {'group': 'E:I', 'scale': 5.0}]
    """
    if not isinstance(graph, nx.DiGraph) or not pick_rules(graph.graph):
        return graph
    problems: list[Problem] = []
    rules = read_attributes(TieRules, pick_rules(graph.graph), "network", problems)
    if rules is not None and not problems:
        graph = graph if in_place else graph.copy()
        for key in TieRules.model_fields:
            graph.graph.pop(key, None)
        _tie(list_edges(graph), rules, problems)
    if problems:
        raise locate(SpecError(problems), graph)
    return graph


def _tie(edges: ListedEdges, rules: TieRules, problems: list[Problem]) -> None:
    scales = multiply_factors(edges, rules.factors, problems)
    turned: frozenset[int] = frozenset()
    if rules.ties_by == SYMMETRIC:
        groups, turned = group_pairs(edges, scales, problems)
    else:
        groups = group_by_attributes(edges, rules.ties_by or (), problems)
    if problems:
        return
    _drop_keys(edges, rules)
    _write_ties(edges, groups, scales.tolist() if rules.factors else None, turned)
    share_inits(edges, groups, scales.tolist(), problems)


def _drop_keys(edges: ListedEdges, rules: TieRules) -> None:
    """What a rule names is read here: a factor called like a key (weight, sign) is no key as well, and neither a factor
    nor what ties is a misspelt one (sgn, weights)."""
    ties_by = () if rules.ties_by in (None, SYMMETRIC) else rules.ties_by or ()
    named = dict.fromkeys((*rules.factors, *ties_by), None)
    meant = keep_keys(ConnectionDeclaration, named).keys()
    for key in meant - (set(ties_by) & ConnectionDeclaration.model_fields.keys() - set(rules.factors)):
        for attributes in edges.attributes:
            attributes.pop(key, None)


def _write_ties(
    edges: ListedEdges, groups: Sequence[str], scales: Sequence[float] | None, turned: frozenset[int]
) -> None:
    """The tie of every edge, in one form for all of them; equal ones are one object."""
    populations = edges.populations()
    made: dict[tuple[str, float | None, bool], Any] = {}
    for row, (source, target, attributes) in enumerate(
        zip(edges.sources, edges.targets, edges.attributes, strict=True)
    ):
        said = groups[row], None if scales is None else scales[row], row in turned
        tie = made.get(said)
        if tie is None:
            tie = made[said] = _write_tie(*said)
        attributes["tie"] = tie
        if source not in populations and target not in populations:
            attributes.setdefault("weight", "scalar")


def _write_tie(group: str, scale: float | None, transpose: bool) -> str | dict[str, Any]:
    tie: dict[str, Any] = {"group": group}
    if scale is not None:
        tie["scale"] = scale
    if transpose:
        tie["transpose"] = True
    return tie if len(tie) > 1 else group
