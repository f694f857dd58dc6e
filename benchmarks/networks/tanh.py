"""A layer of tanh units with a self loop."""

from __future__ import annotations

from typing import Any

import networkx as nx

from benchmarks.networks.network import Network, Operations, Tensor, add_readout, shape_layer, split_layer
from benchmarks.problem import Array, Gradients, Sizes

__all__ = ["Tanh"]


class Tanh(Network):
    """``h = tanh(x @ input + h[t-1] @ recurrent + bias)``."""

    name = "tanh"

    def declare(self, sizes: Sizes, noisy: bool) -> nx.DiGraph[Any]:
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_node("x", units=sizes.inputs)
        graph.add_node("h", units=sizes.hidden, activation="tanh")
        graph.add_edge("x", "h", delay=0)
        graph.add_edge("h", "h", delay=1)
        add_readout(graph, sizes, "h")
        return graph

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        return shape_layer(sizes)

    def split(self, arrays: Gradients, sizes: Sizes) -> dict[str, Array]:
        return split_layer(arrays, ("h",), "h")

    def project(self, ops: Operations, p: dict[str, Tensor], x: Tensor, noisy: bool) -> Tensor:
        return x @ p["input"] + p["bias"]

    def start(self, ops: Operations, p: dict[str, Tensor], batch: int) -> Any:
        return (ops.zeros(batch, p["recurrent"].shape[0]),)

    def step(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor
    ) -> tuple[Any, Tensor]:
        state = ops.tanh(ops.add_product(projected, carry[0], p["recurrent"]))
        return (state,), state
