"""The nodes of a networkx graph -> a table: their kinds, each to be read once, and the numbers in which they differ."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from graphbptt.declaration.expressions import parse_activation
from graphbptt.declaration.graph import keep_keys, name_nodes
from graphbptt.declaration.network_schema import NodeDeclaration
from graphbptt.errors import SpecError
from graphbptt.ir.expression import Expression, State, leaves, substitute
from graphbptt.passes.coalesce.tokens import Number, Token, freeze, split_parameter, split_value

__all__ = ["NodeTable", "read_nodes"]

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
