"""A layer of tanh units whose recurrent weights are few: each unit reads a hundredth of the others."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np

from benchmarks.problem import Array, Sizes
from benchmarks.workloads.network import Network

__all__ = ["SPARSE", "draw_places"]


def draw_places(sizes: Sizes) -> tuple[Array, Array]:
    """The rows and columns of the recurrent weights, sorted, each place once."""
    rng = np.random.default_rng(0)
    size = sizes.hidden**2
    places = np.empty(0, np.int64)
    while len(places) < sizes.entries:
        places = np.union1d(places, rng.integers(0, size, sizes.entries - len(places)))
    rows, columns = np.divmod(places, sizes.hidden)
    return rows, columns


def declare_sparse(sizes: Sizes) -> nx.DiGraph[Any]:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", units=sizes.inputs)
    graph.add_node("h", units=sizes.hidden, activation="tanh")
    graph.add_node("y", units=sizes.outputs)
    graph.add_edge("x", "h", delay=0)
    edges = np.column_stack(draw_places(sizes))
    graph.add_edge("h", "h", delay=1, weight={"sparse": {"edges": edges}, "storage": "csr"})
    graph.add_edge("h", "y", delay=0)
    return graph


SPARSE = Network("sparse", gates=("h",), state="h", declare=declare_sparse)
