"""The compiler itself: a random graph of many small populations, from networkx to a plan."""

from __future__ import annotations

import time
from typing import Any

import networkx as nx
import numpy as np

from graphbptt.compiler import compile_network
from graphbptt.ir.data import Clamp, Target
from graphbptt.passes.fold_graph import fold_graph

__all__ = ["draw_graph", "time_compilation"]


def draw_graph(nodes: int, edges: int, seed: int = 0) -> nx.MultiDiGraph[Any]:
    """Populations of 1 to 8 units; edges up the order of the nodes have delays 0 to 3, the others 1 to 3."""
    rng = np.random.default_rng(seed)
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for node, units in enumerate(rng.integers(1, 9, nodes)):
        graph.add_node(f"n{node}", units=int(units), activation="tanh")
    chosen: set[tuple[int, int, int]] = set()
    while len(chosen) < edges:
        source, target = (int(node) for node in rng.integers(0, nodes, 2))
        chosen.add((source, target, int(rng.integers(0 if source < target else 1, 4))))
    for source, target, delay in sorted(chosen):
        graph.add_edge(f"n{source}", f"n{target}", delay=delay)
    return graph


def time_compilation(nodes: int = 1_000, edges: int = 10_000, rounds: int = 5) -> list[float]:
    """The seconds that each of some compilations of one graph takes."""
    graph = draw_graph(nodes, edges)
    inputs, targets = (Clamp("n0", "x"),), (Target(f"n{nodes - 1}", "wanted"),)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        compile_network(fold_graph(graph, inputs, targets))
        seconds.append(time.perf_counter() - start)
    return seconds
