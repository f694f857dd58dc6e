"""A layer of tanh units whose recurrent weights are few: each unit reads a hundredth of the others."""

from __future__ import annotations

from functools import cache
from typing import Any

import networkx as nx
import numpy as np

from benchmarks.networks.network import Operations, Tensor, add_readout
from benchmarks.networks.tanh import Tanh
from benchmarks.problem import Array, Gradients, Sizes

__all__ = ["Sparse", "draw_places"]


@cache
def draw_places(sizes: Sizes) -> tuple[Array, Array]:
    """The rows and columns of the recurrent weights, sorted, each place once."""
    rng = np.random.default_rng(0)
    size = sizes.hidden**2
    places = np.empty(0, np.int64)
    while len(places) < sizes.entries:
        places = np.union1d(places, rng.integers(0, size, sizes.entries - len(places)))
    rows, columns = np.divmod(places, sizes.hidden)
    return rows, columns


class Sparse(Tanh):
    """A tanh layer; by hand its recurrent weights are a vector of entries, row by row, or scattered into a matrix."""

    name = "sparse"

    def declare(self, sizes: Sizes, noisy: bool) -> nx.DiGraph[Any]:
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_node("x", units=sizes.inputs)
        graph.add_node("h", units=sizes.hidden, activation="tanh")
        graph.add_edge("x", "h", delay=0)
        edges = np.column_stack(draw_places(sizes))
        graph.add_edge("h", "h", delay=1, weight={"sparse": {"edges": edges}, "storage": "csr"})
        add_readout(graph, sizes, "h")
        return graph

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        return {**super().shapes(sizes), "recurrent": (sizes.entries,)}

    def split(self, arrays: Gradients, sizes: Sizes) -> dict[str, Array]:
        return {**super().split(arrays, sizes), "h->h": arrays["recurrent"]}

    def complete(self, ops: Operations, p: dict[str, Tensor], sizes: Sizes) -> dict[str, Tensor]:
        rows, columns = draw_places(sizes)
        return {**p, "recurrent": ops.scatter(p["recurrent"], rows, columns, (sizes.hidden, sizes.hidden))}

    def start(self, ops: Operations, p: dict[str, Tensor], batch: int) -> Any:
        return (ops.zeros(batch, p["bias"].shape[0]),)
