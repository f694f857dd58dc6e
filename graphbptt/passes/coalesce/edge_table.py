"""The edges of a networkx graph -> a table: their kinds, each to be read once, and columns of numbers and ties.

There may be millions of edges, so each is looked at once, and what is known of it afterwards are its columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from graphbptt.declaration.expressions import LARGEST_DELAY
from graphbptt.declaration.graph import keep_keys, tell_parallel
from graphbptt.declaration.network_schema import ConnectionDeclaration
from graphbptt.passes.coalesce.node_table import NodeTable
from graphbptt.passes.coalesce.tokens import Token, split_parameter, split_value

__all__ = ["EdgeTable", "read_edges"]

Array = npt.NDArray[Any]
Graph = nx.DiGraph
Said = tuple[int, str | None, float, float]
"""The kind of an edge, its tie, the scale of that, and its starting value."""


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


def read_edges(graph: Graph[Any], nodes: NodeTable) -> EdgeTable:
    """Every edge with its kind."""
    position = {node: index for index, node in enumerate(nodes.nodes)}
    source: list[int] = []
    target: list[int] = []
    kind: list[int] = []
    tie: list[str | None] = []
    scale: list[float] = []
    init: list[float] = []
    keys: list[Hashable] = []
    kinds = _Kinds()
    read = kinds.read
    for start, end, key, attributes in _list_edges(graph):
        source.append(position[start])
        target.append(position[end])
        keys.append(key)
        number, name, factor, start_value = read(attributes)
        kind.append(number)
        tie.append(name)
        scale.append(factor)
        init.append(start_value)
    names = [name for name in dict.fromkeys(tie) if name is not None]
    names += [n.tie for own in nodes.numbers for n in own.values() if n.tie is not None]
    ties = {name: number for number, name in enumerate(dict.fromkeys(names))}
    ends = np.array(source, np.int64), np.array(target, np.int64)
    kind_of = np.array(kind, np.int64)
    delay = np.array([*kinds.list_delays(), 0], np.int64)[kind_of]
    parallel = graph.is_multigraph()
    return EdgeTable(
        *ends,
        kind_of,
        np.array([-1 if name is None else ties[name] for name in tie], np.int64),
        np.array(scale, np.float64),
        np.array(init, np.float64),
        delay,
        tuple(kind.index(number) for number in range(len(kinds.samples))),
        tuple(kinds.samples),
        keys if parallel else None,
        ties,
        _name_parallel(*ends, delay, keys, nodes) if parallel else {},
        graph,
        nodes.nodes,
    )


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


@dataclass(frozen=True, slots=True)
class _Form:
    """Which attributes some edges have: a number of its own, whether a tie and an init are among them, and how to take
    the values of the others that are keys of the language."""

    number: int
    tie: bool
    init: bool
    rest: Callable[[Mapping[str, Any]], tuple[Any, ...]]


class _Kinds:
    """The kinds of edges, found by the values of their attributes; of one value that many edges share, as a number or
    a text of Python's, by the object itself, which the graph holds meanwhile."""

    def __init__(self) -> None:
        self.samples: list[Mapping[str, Any]] = []
        self._forms: dict[tuple[str, ...], _Form] = {}
        self._shared: dict[Token, int] = {}
        self._kinds: dict[Token, int] = {}
        self._meant = dict.fromkeys(ConnectionDeclaration.model_fields, True)

    def read(self, attributes: Mapping[str, Any]) -> Said:
        """The kind of an edge and its own numbers."""
        names = tuple(attributes)
        form = self._forms.get(names) or self._add_form(names)
        tie: str | None = None
        scale, init = 1.0, math.nan
        tied: Token = None
        started: Token = None
        if form.tie:
            said = attributes["tie"]
            if type(said) is dict and len(said) == 2 and _is_plain_tie(said):
                tied, tie, scale = "plain", said["group"], said["scale"]
            else:
                tied, (tie, scale, _) = split_parameter({"tie": said})
        if form.init:
            said = attributes["init"]
            if type(said) is float:
                started, init = "float", said
            elif type(said) is dict:
                started = id(said)
            else:
                started, init = split_value(said)
        token = (form.number, tied, started, *map(id, form.rest(attributes)))
        kind = self._shared.get(token)
        if kind is None:
            kind = self._shared[token] = self._add_kind(attributes)
        return kind, tie, scale, init

    def _add_form(self, names: tuple[str, ...]) -> _Form:
        rest = [name for name in names if name not in ("tie", "init") and self._is_meant(name)]
        take: Callable[[Mapping[str, Any]], tuple[Any, ...]] = (
            itemgetter(*rest, rest[0]) if rest else lambda _: ()  # of two names or more it is a tuple
        )
        form = self._forms[names] = _Form(len(self._forms), "tie" in names, "init" in names, take)
        return form

    def _add_kind(self, attributes: Mapping[str, Any]) -> int:
        said = {name: value for name, value in attributes.items() if self._is_meant(name)}
        token, _ = split_parameter(said)
        if token not in self._kinds:
            self._kinds[token] = len(self.samples)
            self.samples.append(attributes)
        return self._kinds[token]

    def _is_meant(self, name: str) -> bool:
        if name not in self._meant:
            self._meant[name] = bool(keep_keys(ConnectionDeclaration, {name: None}))
        return self._meant[name]

    def list_delays(self) -> Iterator[int]:
        """The delay of every kind; 0 for one that is none."""
        for sample in self.samples:
            delay = sample.get("delay", 1)
            whole = isinstance(delay, int | np.integer)
            yield int(delay) if whole and abs(delay) <= LARGEST_DELAY else 0


def _is_plain_tie(tie: Mapping[str, Any]) -> bool:
    return type(tie.get("scale")) is float and type(tie.get("group")) is str
