"""Tables -> what can be put together: every kind read and checked, and the nodes that have to stay by themselves.

A node stays by itself if it has several units, if its activation reads other nodes, or theirs reads it, if constraints
name it or its parameters, if it lies on a cycle that is none or looks both ways, or if an edge does that cannot be an
entry of a block: one with a part, a pattern or an index of its own, or a tie to a parameter that is called by its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from graphbptt.declaration.graph import read_attributes
from graphbptt.declaration.network_schema import ConnectionDeclaration, NodeDeclaration, Parameter, Tie
from graphbptt.errors import Problem, SpecError
from graphbptt.ir.expression import Expression, State, leaves
from graphbptt.ir.functions import is_softmax
from graphbptt.ir.parameters import FrozenArray
from graphbptt.passes.coalesce.edge_table import EdgeTable, read_edges
from graphbptt.passes.coalesce.node_table import NodeTable, read_nodes
from graphbptt.passes.coalesce.ranks import ALONE, rank_nodes

__all__ = ["Survey", "survey_graph"]

Array = npt.NDArray[Any]
Graph = nx.DiGraph


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """The tables, the declaration of every kind, and flags and numbers for every node and edge.

    `alone` are the nodes that stay by themselves; `single` the edges that are a number, or a wire, between two units;
    `odd_tie` the ties that join more than such numbers;
    `weighted` says where a weighted edge arrives, `history` is that of a node, `rank` as `rank_nodes` gives it.
    """

    nodes: NodeTable
    edges: EdgeTable
    node: tuple[NodeDeclaration, ...]
    connection: tuple[ConnectionDeclaration, ...]
    alone: Array
    single: Array
    odd_tie: Array
    weighted: Array
    history: Array
    rank: Array

    def declared(self) -> dict[str, NodeDeclaration]:
        """The declaration of every node by name; like nodes have that of the first."""
        return {name: self.node[kind] for name, kind in zip(self.nodes.names, self.nodes.kind, strict=True)}


def survey_graph(graph: Graph[Any]) -> Survey:
    """Read the graph.

    Raises
    ------
    SpecError
        A kind of nodes or edges, or a number, cannot be what was declared.
    """
    nodes = read_nodes(graph)
    edges = read_edges(graph, nodes)
    problems: list[Problem] = []
    node = list(_declare_nodes(nodes, problems))
    connection = list(_declare_connections(nodes, edges, problems))
    if not problems:
        problems += _check_numbers(nodes, edges, connection)
        problems += _check_names(nodes, edges)
    if problems:
        raise SpecError(problems)
    return _survey(graph, nodes, edges, tuple(filter(None, node)), tuple(filter(None, connection)))


def _declare_nodes(nodes: NodeTable, problems: list[Problem]) -> Iterator[NodeDeclaration | None]:
    known = frozenset(nodes.names)
    counts = np.bincount(nodes.kind)
    for kind, first in enumerate(nodes.firsts):
        attributes = nodes.attributes[first]
        readable = () if isinstance(attributes.get("activation"), Expression) else known
        context = {"nodes": known, "readable": readable}
        found: list[Problem] = []
        yield read_attributes(NodeDeclaration, attributes, f"node {nodes.names[first]}", found, context)
        problems += _count_more(found, int(counts[kind]), "nodes")


def _declare_connections(
    nodes: NodeTable, edges: EdgeTable, problems: list[Problem]
) -> Iterator[ConnectionDeclaration | None]:
    counts = np.bincount(edges.kind)
    for kind, first in enumerate(edges.firsts):
        found: list[Problem] = []
        path = f"edge {edges.name(first, nodes.names)}"
        yield read_attributes(ConnectionDeclaration, edges.attributes[kind], path, found)
        problems += _count_more(found, int(counts[kind]), "edges")


def _count_more(problems: Iterable[Problem], count: int, what: str) -> Iterator[Problem]:
    """The problems of the first of so many like ones."""
    for problem in problems:
        more = f" (and {count - 1} {what} like it)" if count > 1 else ""
        yield Problem(problem.path, problem.what + more, problem.instead)


def _check_numbers(
    nodes: NodeTable, edges: EdgeTable, connections: Sequence[ConnectionDeclaration | None]
) -> Iterator[Problem]:
    """The numbers that were not read with their kind: scales and starting values."""
    numeric = [
        c is not None and isinstance(c.init, FrozenArray) and c.init.values.size == 1 for c in connections
    ]
    starts = np.array([*numeric, False])[edges.kind]
    for key, wrong, needed in (
        ("tie.scale", ~np.isfinite(edges.scale) | (edges.scale == 0), "a finite number other than 0"),
        ("init", starts & ~np.isfinite(edges.init), "a finite number"),
    ):
        found = np.flatnonzero(wrong)
        if found.size:
            value = edges.scale[found[0]] if key == "tie.scale" else edges.init[found[0]]
            problem = Problem(
                f"edge {edges.name(found[0], nodes.names)}.{key}", f"it is {value:g}", f"write {needed}"
            )
            yield from _count_more([problem], len(found), "edges")
    for name, numbers in zip(nodes.names, nodes.numbers, strict=True):
        for key, number in numbers.items():
            if not np.isfinite(number.scale) or number.scale == 0 or np.isinf(number.init):
                yield Problem(
                    f"node {name}.{key}", "its number, or its scale, is none", "write finite numbers"
                )


def _check_names(nodes: NodeTable, edges: EdgeTable) -> Iterator[Problem]:
    """Where nodes have an arrow in their names, two edges may have one."""
    if any("->" in name for name in nodes.names):
        counts = Counter(edges.name(edge, nodes.names) for edge in range(len(edges.source)))
        for name, count in counts.items():
            if count > 1:
                yield Problem(f"edge {name}", "several edges have this name", "rename the nodes")


def _survey(
    graph: Graph[Any],
    nodes: NodeTable,
    edges: EdgeTable,
    node: tuple[NodeDeclaration, ...],
    connection: tuple[ConnectionDeclaration, ...],
) -> Survey:
    reads = _find_reads(nodes, node)
    source = np.concatenate([edges.source, reads[0]])
    target = np.concatenate([edges.target, reads[1]])
    delay = np.concatenate([edges.delay, reads[2]])
    rank = rank_nodes(len(nodes.names), source, target, delay)
    history = np.ones(len(nodes.names), np.int64)
    np.maximum.at(history, source, np.abs(delay))
    wire = np.array([*(c.kind == "wire" for c in connection), False])[edges.kind]
    weighted = np.bincount(edges.target[~wire], minlength=len(nodes.names)) > 0
    one = np.array([declared.units == 1 for declared in node])[nodes.kind]
    alone = ~one | (rank == ALONE)
    # A softmax is over the units of a node, so two nodes are not one.
    alone |= np.array([is_softmax(declared.activation) for declared in node])[nodes.kind]
    between = reads[0] != reads[1]
    alone[reads[0][between]] = alone[reads[1][between]] = True
    odd_alike = np.array([[_has_odd_parameter(declared, rows) for rows in (1, 2)] for declared in node])
    alone |= odd_alike[nodes.kind, (history > 1).astype(np.int64)]
    small = one[edges.source] & one[edges.target]
    odd = np.array([*(_is_odd(declared) for declared in connection), False])[edges.kind]
    ties = list(edges.ties)
    named, mentioned = _find_named(graph, nodes, edges), _find_mentioned(graph, nodes, ties)
    odd_ties = _find_odd_ties(graph, nodes, edges, node, odd | named | ~small, one & ~mentioned, history)
    tied = edges.tie >= 0
    odd |= tied & np.append(odd_ties, False)[edges.tie]
    odd |= named
    stay = odd | (tied & ~small)
    alone[edges.source[stay]] = alone[edges.target[stay]] = True
    odd_names = {ties[k] for k in np.flatnonzero(odd_ties)}
    for index, numbers in enumerate(nodes.numbers):
        if any(number.tie is not None and (number.tie in odd_names) for number in numbers.values()):
            alone[index] = True
    alone |= mentioned
    single = small & ~odd
    return Survey(nodes, edges, node, connection, alone, single, odd_ties, weighted, history, rank)


def _find_reads(nodes: NodeTable, declared: Sequence[NodeDeclaration]) -> tuple[Array, Array, Array]:
    """The states that activations read, as (read node, reading node, delay)."""
    position = {name: index for index, name in enumerate(nodes.names)}
    found: list[tuple[Array, Array, Array]] = [(np.empty(0, np.int64),) * 3]
    for kind, first in enumerate(nodes.firsts):
        states = [leaf for leaf in leaves(declared[kind].activation) if isinstance(leaf, State)]
        members = np.flatnonzero(nodes.kind == kind) if states else np.empty(0, np.int64)
        for state in states:
            own = state.node == nodes.names[first]
            read = members if own else np.full(len(members), position[state.node])
            found.append((read, members, np.full(len(members), state.delay)))
    source, target, delay = (np.concatenate(column) for column in zip(*found, strict=True))
    return source, target, delay


def _is_odd_tie(tie: Tie | None) -> bool:
    return tie is not None and (tie.index is not None or tie.transpose)


def _is_odd(declared: ConnectionDeclaration) -> bool:
    """Whether an edge between single units is more than a number."""
    parts = declared.from_units, declared.to_units, declared.from_port, declared.to_port
    return declared.kind == "sparse" or any(part is not None for part in parts) or _is_odd_tie(declared.tie)


def _has_odd_parameter(declared: NodeDeclaration, history: int) -> bool:
    """Whether a parameter of a node of one unit is more than a number."""
    initial = declared.initial
    if isinstance(initial, FrozenArray):
        odd = initial.values.size > 1
    else:
        drawn = initial.init is not None and not isinstance(initial.init, FrozenArray)
        long = isinstance(initial.init, FrozenArray) and initial.init.values.size > 1
        odd = long or (history > 1 and (initial.tie is not None or drawn))
    said = [declared.bias, declared.initial, *declared.coefficients.values()]
    return odd or any(isinstance(parameter, Parameter) and _is_odd_tie(parameter.tie) for parameter in said)


def _find_odd_ties(
    graph: Graph[Any],
    nodes: NodeTable,
    edges: EdgeTable,
    declared: Sequence[NodeDeclaration],
    odd: Array,
    joinable: Array,
    history: Array,
) -> Array:
    """The ties of `edges.ties` that do not only join numbers: those of `odd` edges, those of nodes that are not
    `joinable`, having several units or parameters that are called by name, and those that are called by name."""
    named: set[str] = set()
    for index, numbers in enumerate(nodes.numbers):
        node = declared[nodes.kind[index]]
        for key, number in numbers.items():
            if number.tie is not None:
                said = {"bias": node.bias, "initial": node.initial, **node.coefficients}.get(key)
                index_tie = isinstance(said, Parameter) and _is_odd_tie(said.tie)
                rows = key == "initial" and history[index] > 1
                if not joinable[index] or index_tie or rows:
                    named.add(number.tie)
    texts = list(_list_texts(graph))
    odd_ties = np.array(
        [
            name in named or "->" in name or "." in name or any(name in text for text in texts)
            for name in edges.ties
        ],
        bool,
    )
    odd_ties[edges.tie[odd & (edges.tie >= 0)]] = True
    return odd_ties


def _list_texts(graph: Graph[Any]) -> Iterator[str]:
    """The texts that name nodes and parameters outside of them: constraints and penalties."""
    waiting: list[Any] = [graph.graph.get("constraints"), graph.graph.get("penalties")]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item


def _find_named(graph: Graph[Any], nodes: NodeTable, edges: EdgeTable) -> Array:
    """The edges whose weight is called by its name, in a tie or in a constraint."""
    named = np.zeros(len(edges.source), bool)
    names = {name for name in edges.ties if "->" in name}
    texts = [text for text in _list_texts(graph) if "->" in text]
    if names or texts:
        for edge in range(len(named)):
            name = edges.name(edge, nodes.names)
            named[edge] = name in names or any(name in text for text in texts)
    return named


def _find_mentioned(graph: Graph[Any], nodes: NodeTable, ties: Sequence[str]) -> Array:
    """The nodes whose parameters, or which themselves, are called by name."""
    owners = {name.rpartition(".")[0] for name in ties if "." in name}
    texts = list(_list_texts(graph))
    return np.array(
        [name in owners or any(name == text or f"{name}." in text for text in texts) for name in nodes.names]
    )
