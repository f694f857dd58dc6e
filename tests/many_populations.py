"""Networks of many small populations."""

from __future__ import annotations

from typing import Any

import networkx as nx

from graphbptt.ir.data import Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.passes.fold_graph import fold_graph

__all__ = ["gated_populations", "many_populations", "unlike_populations"]


def many_populations(count: int, weight: str = "one_to_one") -> FoldedNetwork:
    """Each reads four others, one or two steps earlier; their numbers of units differ where that can be."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for k in range(count):
        graph.add_node(k, units=3 if weight == "one_to_one" else 3 + k % 17, activation="tanh")
        for step in (1, 3, 7, 12):
            graph.add_edge(k, (k * step + step) % count, weight=weight, delay=1 + step % 2)
    return fold_graph(graph, [], [Target(0, "c")])


def gated_populations(count: int) -> FoldedNetwork:
    """Each is multiplied by another one, and leaks at a rate of its own that is learned."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for k in range(count):
        gate = (7 * k + 2) % count
        expression = f"(1 - rate) * n{k}[t-1] + rate * tanh(net) * n{gate}[t-{1 + k % 3}]"
        rate = {"init": 0.1 + 0.8 * k / count, "trainable": True}
        graph.add_node(f"n{k}", units=3, activation=expression, coefficients={"rate": rate})
        graph.add_edge(f"n{k}", f"n{(k + 1) % count}", weight="one_to_one")
    return fold_graph(graph, [], [Target("n0", "c")])


def unlike_populations(count: int) -> FoldedNetwork:
    """Each with an activation of its own."""
    functions = ("tanh", "logistic", "softplus", "sin", "relu")
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for k in range(count):
        one, two = functions[k % 5], functions[k // 5 % 5]
        expression = (
            f"{one}(net - 0.{k + 1}) * {two}(0.{k + 3} * n{(7 * k + 2) % count}[t-2]) - 0.{k + 5} * net"
        )
        graph.add_node(f"n{k}", units=3, activation=expression)
        graph.add_edge(f"n{k}", f"n{(k + 1) % count}", weight="one_to_one")
    return fold_graph(graph, [], [Target("n0", "c")])
