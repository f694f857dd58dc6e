"""A connectome as it would come from a file: a node for every cell, a weight for every edge that is sign times count
times the scale that all edges between two types of cells share."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np

from graphbptt.ir.data import Clamp, Target

__all__ = ["GIVEN", "WANTED", "draw_connectome"]

TYPES = 24
"""Types of cells; there are 25 sources and 24 targets of a scale, 600 in all."""

GIVEN, WANTED = 1_000, 100
"""Of how many cells states are given, and of how many they are wanted."""


def draw_connectome(
    nodes: int, edges: int, seed: int = 0
) -> tuple[nx.DiGraph[Any], list[Clamp], list[Target]]:
    """A random graph, with what is given and what is wanted."""
    rng = np.random.default_rng(seed)
    places = np.empty(0, np.int64)
    while len(places) < edges:
        places = np.union1d(places, rng.integers(0, nodes**2, edges - len(places)))
    source, target = np.divmod(places, nodes)
    source_type, target_type = rng.integers(0, TYPES + 1, nodes), rng.integers(0, TYPES, nodes)
    sign = np.where(source_type % 5 == 0, -1.0, 1.0)
    factors = sign[source] * rng.geometric(0.3, edges) * (0.5 * nodes / edges)
    ties = [f"{a}:{b}" for a, b in zip(source_type[source], target_type[target], strict=True)]
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_nodes_from((f"c{number}", {"activation": "tanh"}) for number in range(nodes))
    names = list(graph)
    graph.add_edges_from(
        (names[a], names[b], {"weight": "scalar", "tie": {"group": tie, "scale": factor}})
        for a, b, tie, factor in zip(source.tolist(), target.tolist(), ties, factors.tolist(), strict=True)
    )
    given = [Clamp(names[:GIVEN], "seen")]
    wanted = [Target(names[-WANTED:], "wanted")]
    return graph, given, wanted
