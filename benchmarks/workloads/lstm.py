"""An LSTM drawn as a graph: a node for each gate, the cell and the state."""

from __future__ import annotations

from typing import Any

import networkx as nx

from benchmarks.problem import Sizes
from benchmarks.workloads.network import Network

__all__ = ["LSTM"]

GATES = {"output": "logistic", "input": "logistic", "forget": "logistic", "candidate": "tanh"}


def declare_lstm(sizes: Sizes) -> nx.DiGraph[Any]:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", units=sizes.inputs)
    graph.add_node("cell", units=sizes.hidden, activation="forget * cell[t-1] + input * candidate")
    graph.add_node("state", units=sizes.hidden, activation="output * tanh(cell)")
    graph.add_node("y", units=sizes.outputs)
    for gate, activation in GATES.items():
        graph.add_node(gate, units=sizes.hidden, activation=activation)
        graph.add_edge("x", gate, delay=0)
        graph.add_edge("state", gate, delay=1)
    graph.add_edge("state", "y", delay=0)
    return graph


LSTM = Network("lstm", gates=tuple(GATES), state="state", declare=declare_lstm)
