"""What a random graph is drawn into: nodes with their sizes, and the delays with which they may read each other.

Every graph is acyclic when unrolled by construction. Nodes lie in blocks; between blocks edges point forward
and have any delay. Inside a block edges point anywhere: one from u to v has the delay ``sign * k + r[v] -
r[u]`` with a sign of the block's, a shift r of each node, and k at least 1 unless v comes after u. On a cycle
the shifts cancel and some k is at least 1, so its total delay has the block's sign, though single edges may
look the other way. A cell stands for its node as long as time runs inside it as the block's sign says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import networkx as nx
from hypothesis import strategies as st

__all__ = ["Cell", "Sketch", "delays", "gated_sketches", "insides", "sketches", "state_name"]

GATES = ("net * {0}", "tanh(net) * {0} + 0.3", "logistic({0}) * sin(net)")
"""Activations of gates, by the state that opens them."""


@dataclass(frozen=True)
class Cell:
    """The cell of a node: its ports by name, those inputs that are a `single` plain node, and what it `takes` of
    ``bias``, ``initial`` and ``noise``."""

    name: str
    options: dict[str, Any]
    inputs: list[str]
    outputs: list[str]
    single: set[str]
    takes: set[str]


@dataclass
class Sketch:
    """A graph in the making; an `inner` one is the inside of a cell, whose states are read from outside too.

    Nodes whose activation is among the `texts` have that one, and a bias.
    """

    names: list[str]
    units: dict[str, int]
    block: dict[str, int]
    shift: dict[str, int]
    sign: dict[int, int]
    deaf: set[str]
    causal: bool
    inner: bool = False
    graph: nx.MultiDiGraph[Any] = field(default_factory=nx.MultiDiGraph)
    history: dict[str, int] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def hearing(self) -> list[str]:
        """The nodes at which connections may arrive."""
        return [name for name in self.names if name not in self.deaf and self.reaches(name)]

    def reaches(self, name: str) -> bool:
        """Whether a node is no cell, or one with an input."""
        return name not in self.cells or bool(self.cells[name].inputs)

    def is_single(self, target: str, port: str | None) -> bool:
        """Whether an edge to this port stays one when cells are expanded."""
        cell = self.cells.get(target)
        return cell is None or (port or cell.inputs[0]) in cell.single

    def readable(self, node: str) -> list[str]:
        """The nodes that a node may read without closing a cycle of zero delay."""
        return [name for name in self.names if self.block[name] <= self.block[node]]


def state_name(node: str, delay: int) -> str:
    return node if delay == 0 else f"{node}[t{-delay:+d}]"


@st.composite
def sketches(draw: st.DrawFn, causal: bool) -> Sketch:
    count = draw(st.integers(1, 6))
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=2))
    names = [f"n{k}" for k in range(count)]
    blocks = draw(st.lists(st.sampled_from((0, 0, 0, 1, 2)), min_size=count, max_size=count))
    return Sketch(
        names,
        {name: draw(st.sampled_from(sizes)) for name in names},
        dict(zip(names, blocks, strict=True)),
        {name: 0 if causal else draw(st.sampled_from((0, 0, 1, -1, 2))) for name in names},
        {block: 1 if causal else draw(st.sampled_from((1, 1, -1))) for block in range(3)},
        {name for name in names if draw(st.integers(0, 7)) == 7},
        causal,
        history=dict.fromkeys(names, 1),
    )


@st.composite
def gated_sketches(draw: st.DrawFn, causal: bool) -> Sketch:
    """States of one size and one activation, and gates that drive all of them: of the pairs of neighbours that open
    gates, two or more share a state."""
    first = draw(st.integers(0, 1))
    opening = [first, first + 1, first + 1, first + 2, *draw(st.lists(st.integers(0, 2), max_size=2))]
    names = [f"n{k}" for k in range(len(opening) + max(opening) + 1)]
    gates, states = names[: len(opening)], names[len(opening) :]
    sign = 1 if causal else draw(st.sampled_from((1, 1, -1)))
    gate, delay = draw(st.sampled_from(GATES)), sign * draw(st.integers(0, 1))
    texts = dict.fromkeys(states, draw(st.sampled_from(("tanh", "softplus"))))
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for name, opener in zip(gates, opening, strict=True):
        texts[name] = gate.format(state_name(states[opener], sign))
        graph.add_edges_from((name, state, {"weight": "one_to_one", "delay": delay}) for state in states)
    units = dict.fromkeys(names, draw(st.integers(1, 3)))
    zeros, ones = dict.fromkeys(names, 0), dict.fromkeys(names, 1)
    return Sketch(
        names, units, zeros, zeros, {0: sign}, set(), causal, graph=graph, history=ones, texts=texts
    )


@st.composite
def insides(draw: st.DrawFn, units: int) -> Sketch:
    """The inside of a cell of so many units: time runs forward, unless the cell is turned around."""
    names = [f"n{k}" for k in range(draw(st.integers(1, 3)))]
    deaf = {name for name in names if draw(st.integers(0, 7)) == 7}
    zeros, ones = dict.fromkeys(names, 0), dict.fromkeys(names, 1)
    return Sketch(names, dict.fromkeys(names, units), zeros, zeros, {0: 1}, deaf, True, True, history=ones)


@st.composite
def delays(draw: st.DrawFn, sketch: Sketch, source: str, target: str) -> int:
    """A delay with which `target` may read `source`; their blocks are in order."""
    if sketch.block[source] < sketch.block[target]:
        delay = draw(st.integers(0 if sketch.causal else -3, 3))
    else:
        first = 0 if sketch.names.index(source) < sketch.names.index(target) else 1
        steps = draw(st.sampled_from((first, first, first + 1, first + 2)))
        delay = sketch.sign[sketch.block[source]] * steps + sketch.shift[target] - sketch.shift[source]
    sketch.history[source] = max(sketch.history[source], abs(delay))
    return delay
