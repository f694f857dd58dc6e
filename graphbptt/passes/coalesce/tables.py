"""networkx graph -> tables of its nodes and edges: kinds, each read once, and columns of numbers.

    nodes := NodeTable(names, kinds, kind, numbers)
    edges := EdgeTable(source, target, kinds, kind, tie, scale, init)

A graph may have millions of edges, so each is looked at once, and what is known of it afterwards are its columns.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from graphbptt.declaration.expressions import parse_activation
from graphbptt.declaration.graph import keep_keys, name_nodes, tell_parallel
from graphbptt.declaration.network_schema import ConnectionDeclaration, NodeDeclaration
from graphbptt.errors import SpecError
from graphbptt.ir.expression import Expression, State, leaves, substitute
from graphbptt.passes.coalesce.tokens import Number, Token, freeze, split_parameter, split_value

__all__ = ["EdgeTable", "NodeTable", "read_edges", "read_nodes"]

Array = npt.NDArray[Any]
Graph = nx.DiGraph

OWN = ""
"""What a node is called where its activation reads its own state: so two that do are alike."""


@dataclass(frozen=True, slots=True)
class NodeTable:
    """The nodes in the order of the graph; `firsts` are the first ones of every kind.

    `numbers` are those of a node's parameters, by ``bias``, ``initial`` and the names of its coefficients.
    """

    nodes: tuple[Hashable, ...]
    names: tuple[str, ...]
    attributes: tuple[Mapping[str, Any], ...]
    kind: Array
    firsts: tuple[int, ...]
    numbers: tuple[Mapping[str, Number], ...]


@dataclass(frozen=True, slots=True)
class EdgeTable:
    """The edges in the order of the graph, their ends by position; `firsts` are the first ones of every kind.

    `tie` is a position in `ties`, which holds the names of all ties, those of nodes too; or -1.
    """

    source: Array
    target: Array
    kind: Array
    tie: Array
    scale: Array
    init: Array
    delay: Array
    firsts: tuple[int, ...]
    attributes: tuple[Mapping[str, Any], ...]
    keys: Sequence[Hashable] | None
    ties: dict[str, int]
    named: dict[int, str]

    graph: Graph[Any]
    nodes: Sequence[Hashable]

    def key(self, edge: int) -> Hashable:
        """The key of an edge in the graph; 0 where none has a key."""
        return 0 if self.keys is None else self.keys[edge]

    def find_attributes(self, edge: int) -> Mapping[str, Any]:
        """What the graph says of an edge."""
        data: Any = self.graph.adj[self.nodes[self.source[edge]]][self.nodes[self.target[edge]]]
        found: Mapping[str, Any] = data if self.keys is None else data[self.keys[edge]]
        return found

    def name(self, edge: int, names: Sequence[str]) -> str:
        """The name of an edge, given those of the nodes."""
        return self.named.get(edge) or f"{names[self.source[edge]]}->{names[self.target[edge]]}"


def read_nodes(graph: Graph[Any]) -> NodeTable:
    """Every node with its kind."""
    names = name_nodes(graph)
    known = frozenset(names.values())
    kinds: dict[Token, int] = {}
    firsts: list[int] = []
    kind: list[int] = []
    numbers: list[Mapping[str, Number]] = []
    for position, (node, attributes) in enumerate(graph.nodes(data=True)):
        token, said = _split_node(names[node], attributes, known)
        if token not in kinds:
            kinds[token] = len(kinds)
            firsts.append(position)
        kind.append(kinds[token])
        numbers.append(said)
    return NodeTable(
        tuple(names), tuple(names.values()), tuple(graph.nodes[node] for node in names),
        np.array(kind, np.int64), tuple(firsts), tuple(numbers),
    )  # fmt: skip


def _split_node(
    name: str, attributes: Mapping[str, Any], known: frozenset[str]
) -> tuple[Token, dict[str, Number]]:
    token: list[Token] = []
    numbers: dict[str, Number] = {}
    for key, value in attributes.items():
        if not keep_keys(NodeDeclaration, {key: None}):
            continue
        if key == "coefficients" and isinstance(value, Mapping):
            for coefficient, said in value.items():
                inner, numbers[str(coefficient)] = _split_own(said)
                token.append((key, freeze(coefficient), inner))
        elif key in ("bias", "initial"):
            inner, numbers[key] = _split_own(value)
            token.append((key, inner))
        elif key == "activation":
            coefficients = attributes.get("coefficients") or ()
            token.append((key, freeze(_open_own_state(value, name, coefficients, known))))
        else:
            token.append((key, freeze(value)))
    return frozenset(token), numbers


def _split_own(value: Any) -> tuple[Token, Number]:
    """What is said of a bias, an initial state or a coefficient."""
    if isinstance(value, Mapping):
        return split_parameter(value)
    token, number = split_value(value)
    return token, Number(init=number)


def _open_own_state(value: Any, name: str, coefficients: Iterable[str], known: frozenset[str]) -> Any:
    """The activation with its own state under a name that is the same for all nodes; as it is where it reads none."""
    expression = value
    if isinstance(value, str) and name in value:
        try:
            expression = parse_activation(value, list(coefficients), known)
        except SpecError:
            return value  # reported where its kind is read
    if not isinstance(expression, Expression):
        return value
    own: dict[Expression, Expression] = {
        leaf: State(OWN, leaf.delay)
        for leaf in leaves(expression)
        if isinstance(leaf, State) and leaf.node == name
    }
    return substitute(expression, own) if own else value


def read_edges(graph: Graph[Any], nodes: NodeTable) -> EdgeTable:
    """Every edge with its kind."""
    position = {node: index for index, node in enumerate(nodes.nodes)}
    source, target, kind, tie = array("q"), array("q"), array("q"), array("q")
    scale, init = array("d"), array("d")
    raw: dict[Token, int] = {}
    kinds: dict[Token, int] = {}
    kind_of_raw: list[int] = []
    firsts: list[int] = []
    samples: list[Mapping[str, Any]] = []
    ties: dict[str, int] = {}
    keys: list[Hashable] | None = [] if graph.is_multigraph() else None
    shared = _SharedTokens()
    for start, end, key, attributes in _list_edges(graph):
        token, number = shared.split(attributes)
        found = raw.get(token)
        if found is None:
            found = raw[token] = len(raw)
            kind_of_raw.append(kinds.setdefault(frozenset(token), len(kinds)))
            if kind_of_raw[-1] == len(firsts):
                firsts.append(len(source))
                samples.append(attributes)
        source.append(position[start])
        target.append(position[end])
        kind.append(kind_of_raw[found])
        tie.append(-1 if number.tie is None else ties.setdefault(number.tie, len(ties)))
        scale.append(number.scale)
        init.append(number.init)
        if keys is not None:
            keys.append(key)
    delays = [sample.get("delay", 1) for sample in samples]
    whole = [int(delay) if isinstance(delay, int | np.integer) else 0 for delay in delays]
    for numbers in nodes.numbers:
        for number in numbers.values():
            if number.tie is not None:
                ties.setdefault(number.tie, len(ties))
    ends = np.array(source), np.array(target)
    delay = np.array([*whole, 0], np.int64)[np.array(kind)]
    named = {} if keys is None else _name_parallel(*ends, delay, keys, nodes)
    return EdgeTable(
        *ends, np.array(kind), np.array(tie), np.array(scale), np.array(init), delay,
        tuple(firsts), tuple(samples), keys, ties, named, graph, nodes.nodes,
    )  # fmt: skip


def _name_parallel(
    source: Array, target: Array, delay: Array, keys: Sequence[Hashable], nodes: NodeTable
) -> dict[int, str]:
    """The names of the edges that have others beside them."""
    pairs = source * len(nodes.names) + target
    order = np.argsort(pairs, kind="stable")
    begins = np.flatnonzero(np.diff(pairs[order], prepend=-1))
    counts = np.diff(begins, append=len(order))
    named: dict[int, str] = {}
    for begin, count in zip(begins[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True):
        beside = order[begin : begin + count].tolist()
        ends = f"{nodes.names[source[beside[0]]]}->{nodes.names[target[beside[0]]]}"
        suffixes = tell_parallel({keys[edge]: int(delay[edge]) for edge in beside})
        named |= {edge: ends + suffixes[keys[edge]] for edge in beside}
    return named


def _list_edges(graph: Graph[Any]) -> Iterator[tuple[Hashable, Hashable, Hashable, Mapping[str, Any]]]:
    parallel = graph.is_multigraph()
    for start, neighbours in graph.adjacency():
        for end, data in neighbours.items():
            if parallel:
                for key, attributes in data.items():
                    yield start, end, key, attributes
            else:
                yield start, end, 0, data


def _is_plain_tie(tie: Mapping[str, Any]) -> bool:
    return type(tie.get("scale")) is float and type(tie.get("group")) is str


class _SharedTokens:
    """Splits the attributes of edges; what many edges say alike, or share as one object, is frozen once."""

    def __init__(self) -> None:
        self._frozen: dict[int, Token] = {}
        self._meant = dict.fromkeys(ConnectionDeclaration.model_fields, True)

    def split(self, attributes: Mapping[str, Any]) -> tuple[tuple[Token, ...], Number]:
        """The token of an edge, in the order of its attributes, and its number."""
        token: list[Token] = []
        tie, scale, init = None, 1.0, math.nan
        for key, value in attributes.items():
            kind = type(value)
            if key == "tie" and kind is dict and len(value) == 2 and _is_plain_tie(value):
                tie, scale = value["group"], value["scale"]
                token.append("tie")
            elif key == "tie":
                inner, (tie, scale, _) = split_parameter({key: value})
                token.append((key, inner))
            elif key == "init" and kind is float:
                init = value
                token.append("init")
            elif key == "init" and kind is not dict:
                inner, init = split_value(value)
                token.append((key, inner))
            elif self._is_meant(key):
                token.append((key, value) if kind is str else (key, kind, self._freeze(value)))
        return tuple(token), Number(tie, scale, init)

    def _is_meant(self, key: str) -> bool:
        if key not in self._meant:
            self._meant[key] = bool(keep_keys(ConnectionDeclaration, {key: None}))
        return self._meant[key]

    def _freeze(self, value: Any) -> Token:
        if type(value) is not dict:
            return freeze(value)
        found = self._frozen.get(id(value))  # the graph holds the object
        if found is None:
            found = self._frozen[id(value)] = freeze(value)
        return found
