"""Networks everyone in the field knows, at sizes where every product has something to do."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np

from graphbptt.ir.data import Clamp, Last, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.noise import Noise
from graphbptt.passes.fold_graph import fold_graph

__all__ = ["NETWORKS", "NOISES", "draw_fields", "noisy"]

INPUTS, HIDDEN, OUTPUTS = 3, 5, 2


def elman() -> FoldedNetwork:
    """A simple recurrent network with a linear readout (Elman 1990)."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=INPUTS)
    graph.add_node("h", units=HIDDEN, activation="tanh", initial="learned")
    graph.add_node("y", units=OUTPUTS)
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "h")
    graph.add_edge("h", "y", delay=0)
    return fold_graph(graph, [Clamp("x", "x")], [Target("y", "y")])


def lstm() -> FoldedNetwork:
    """Long short-term memory with a forget gate (Gers, Schmidhuber, Cummins 2000)."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=INPUTS)
    for gate, activation in (("i", "logistic"), ("f", "logistic"), ("o", "logistic"), ("g", "tanh")):
        graph.add_node(gate, units=HIDDEN, activation=activation)
        graph.add_edge("x", gate, delay=0)
        graph.add_edge("h", gate)
    graph.add_node("c", units=HIDDEN, activation="f * c[t-1] + i * g")
    graph.add_node("h", units=HIDDEN, activation="o * tanh(c)")
    graph.add_node("y", units=OUTPUTS)
    graph.add_edge("h", "y", delay=0)
    return fold_graph(graph, [Clamp("x", "x")], [Target("y", "label", "cross_entropy", at="last")])


def bidirectional() -> FoldedNetwork:
    """One scan forward, one in reverse, both read at every step (Schuster and Paliwal 1997)."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=INPUTS)
    graph.add_node("y", units=OUTPUTS, activation="logistic")
    for name, delay in (("past", 1), ("future", -1)):
        graph.add_node(name, units=HIDDEN, activation="tanh", initial="learned")
        graph.add_edge("x", name, delay=0)
        graph.add_edge(name, name, delay=delay)
        graph.add_edge(name, "y", delay=0)
    return fold_graph(graph, [Clamp("x", "x")], [Target("y", "probability", "binary_cross_entropy")])


def delay_lines() -> FoldedNetwork:
    """Several delays between the same two nodes, and output fed back (Lin, Horne, Tino, Giles 1996, NARX)."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=INPUTS)
    graph.add_node("h", units=HIDDEN, activation="tanh")
    graph.add_node("y", units=OUTPUTS, initial="learned")
    for delay in (0, 2, 5):
        graph.add_edge("x", "h", delay=delay)
    for delay in (1, 3):
        graph.add_edge("y", "h", delay=delay, tie={"group": "feedback", "combine": "mean"})
    graph.add_edge("h", "y", delay=0)
    return fold_graph(graph, [Clamp("x", "x")], [Target("y", "y", at=Last(3))])


def teacher_forcing() -> FoldedNetwork:
    """The output is set to what was wanted where the mask says so, and free elsewhere (Williams, Zipser 1989)."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=HIDDEN, activation="tanh", initial="learned")
    graph.add_node("y", units=OUTPUTS)
    graph.add_edge("h", "h")
    graph.add_edge("y", "h")
    graph.add_edge("h", "y", delay=0)
    return fold_graph(graph, [Clamp("y", "y", mask="teacher")], [Target("y", "y")])


def attractor() -> FoldedNetwork:
    """A symmetric network started from a part of a pattern, asked for the whole at the end."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("v", units=OUTPUTS, activation="logistic", initial="learned")
    graph.add_node("h", units=HIDDEN, activation="logistic", initial="learned")
    graph.add_edge("v", "h", tie="W", init="glorot")
    graph.add_edge("h", "v", tie={"group": "W", "transpose": True})
    graph.add_edge("v", "v", delay=2, weight="one_to_one")
    clamps = [Clamp("v", "pattern", units=(1,), at="start")]
    return fold_graph(graph, clamps, [Target("v", "y", at=Last(4), weight=2.0)])


def two_losses() -> FoldedNetwork:
    """One loss takes the states of a node, another one its net input."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=INPUTS)
    graph.add_node("y", units=OUTPUTS, activation="logistic")
    graph.add_edge("x", "y")
    targets = [Target("y", "y"), Target("y", "probability", "binary_cross_entropy", at="last")]
    return fold_graph(graph, [Clamp("x", "x")], targets)


def competition() -> FoldedNetwork:
    """Units of which one wins, and gate a loop with its share; what is wanted of them reads their net input."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=INPUTS)
    graph.add_node("p", units=HIDDEN, activation="softmax", initial="learned")
    graph.add_node("h", units=HIDDEN, activation="p * tanh(net) + p[t-2]")
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "h")
    graph.add_edge("h", "p")
    graph.add_edge("p", "p", delay=3, weight="one_to_one")
    targets = [Target("p", "label", "cross_entropy", at="last"), Target("h", "h")]
    return fold_graph(graph, [Clamp("x", "x")], targets)


def forced_choice() -> FoldedNetwork:
    """Probabilities, one of which is set here and there, are fed back and looked ahead at."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=HIDDEN, activation="tanh", initial="learned")
    graph.add_node("y", units=HIDDEN, activation="softmax", initial="learned")
    graph.add_node("z", units=OUTPUTS)
    graph.add_edge("h", "h")
    graph.add_edge("h", "y", delay=0)
    graph.add_edge("y", "h")
    graph.add_edge("y", "z", delay=-2)
    clamps = [Clamp("y", "pattern_series", units=(1,), mask="teacher")]
    return fold_graph(
        graph, clamps, [Target("y", "label", "cross_entropy", units=(0, 2, 3)), Target("z", "y")]
    )


def shared_gates() -> FoldedNetwork:
    """Products of what comes in with three loops, one of which gates two: their derivatives overlap."""
    return _gated({"d": "a", "e": "b", "f": "b", "g": "c"})


def paired_gates() -> FoldedNetwork:
    """The same where each of two neighbouring loops gates two: their slopes are those loops' states, repeated."""
    return _gated({"d": "a", "e": "a", "f": "b", "g": "b"})


def _gated(gates: dict[str, str]) -> FoldedNetwork:
    """Products of what comes in with the loops a, b and c, by the loop that each is multiplied with."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=INPUTS)
    loops = "abc"
    for loop in loops:
        graph.add_node(loop, units=HIDDEN, activation="tanh")
    for gate, loop in gates.items():
        graph.add_node(gate, units=HIDDEN, activation=f"net * {loop}[t-1]")
        graph.add_edge("x", gate)
        for target in loops:
            graph.add_edge(gate, target, weight="one_to_one", delay=0)
    return fold_graph(graph, [Clamp("x", "x")], [Target("c", "h")])


def noisy() -> FoldedNetwork:
    """Noise inside a loop and behind it, and nothing else that drives it."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=HIDDEN, activation="tanh", noise=0.5)
    graph.add_node("y", units=OUTPUTS, noise=0.1)
    graph.add_edge("h", "h")
    graph.add_edge("h", "y", delay=0)
    return fold_graph(graph, [], [Target("y", "y")])


NETWORKS = (
    elman, lstm, bidirectional, delay_lines, teacher_forcing, attractor, two_losses, competition, forced_choice,
    paired_gates, shared_gates,
)  # fmt: skip

NOISES = (Noise(1), None, Noise(2, example=3))
"""What the states of `noisy` may be drawn from."""


def draw_fields(batch: int, steps: int, padded: bool, seed: int = 0) -> dict[str, np.ndarray]:
    """Everything that one of the networks reads."""
    rng = np.random.default_rng(seed)
    fields: dict[str, np.ndarray] = {
        "x": rng.normal(size=(batch, steps, INPUTS)),
        "h": rng.normal(size=(batch, steps, HIDDEN)),
        "y": rng.normal(size=(batch, steps, OUTPUTS)),
        "probability": rng.uniform(size=(batch, steps, OUTPUTS)),
        "label": rng.integers(0, OUTPUTS, batch),
        "teacher": rng.integers(0, 2, (batch, steps)),
        "pattern_series": rng.uniform(size=(batch, steps, 1)),
        "pattern": rng.uniform(size=(batch, 1)),
    }
    return fields | ({"lengths": rng.integers(1, steps + 1, batch)} if padded else {})
