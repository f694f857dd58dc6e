"""A layer of tanh units with a self loop."""

from __future__ import annotations

from typing import Any

import networkx as nx

from benchmarks.problem import Sizes
from benchmarks.workloads.network import Network

__all__ = ["TANH"]


def declare_tanh(sizes: Sizes) -> nx.DiGraph[Any]:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", units=sizes.inputs)
    graph.add_node("h", units=sizes.hidden, activation="tanh")
    graph.add_node("y", units=sizes.outputs)
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "h", delay=1)
    graph.add_edge("h", "y", delay=0)
    return graph


TANH = Network("tanh", gates=("h",), state="h", declare=declare_tanh)
