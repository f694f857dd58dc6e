"""The gated recurrent unit in PyTorch's and cuDNN's convention, as the shipped cell."""

from __future__ import annotations

from typing import Any

import networkx as nx

from benchmarks.networks.network import Network, Operations, Tensor, add_readout, shape_layer
from benchmarks.problem import Array, Gradients, Sizes

__all__ = ["GATES", "Gru"]

GATES = ("reset", "update", "candidate")


class Gru(Network):
    """``h = update * h[t-1] + (1 - update) * tanh(net + reset * recall)``."""

    name = "gru"

    def declare(self, sizes: Sizes, noisy: bool) -> nx.DiGraph[Any]:
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_node("x", units=sizes.inputs)
        graph.add_node("h", units=sizes.hidden, cell="gru")
        graph.add_edge("x", "h", delay=0)
        add_readout(graph, sizes, "h")
        return graph

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        return {**shape_layer(sizes, len(GATES)), "recall_bias": (sizes.hidden,)}

    def split(self, arrays: Gradients, sizes: Sizes) -> dict[str, Array]:
        groups = {"h->y": arrays["readout"], "y.bias": arrays["readout_bias"]}
        for block, gate in enumerate(GATES):
            columns = slice(block * sizes.hidden, (block + 1) * sizes.hidden)
            groups[f"x->h.{gate}"] = arrays["input"][:, columns]
            groups[f"h.{gate}.bias"] = arrays["bias"][columns]
            recalled = "recall" if gate == "candidate" else gate
            groups[f"h->h.{recalled}"] = arrays["recurrent"][:, columns]
        groups["h.recall.bias"] = arrays["recall_bias"]
        return groups

    def project(self, ops: Operations, p: dict[str, Tensor], x: Tensor, noisy: bool) -> Tensor:
        return x @ p["input"] + p["bias"]

    def start(self, ops: Operations, p: dict[str, Tensor], batch: int) -> Any:
        return (ops.zeros(batch, p["recurrent"].shape[0]),)

    def step(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor
    ) -> tuple[Any, Tensor]:
        (state,) = carry
        hidden = state.shape[-1]
        net, candidate = ops.split(projected, (2 * hidden, hidden))
        recurrent, recalled = ops.split(state @ p["recurrent"], (2 * hidden, hidden))
        reset, update = ops.split(ops.logistic(net + recurrent), (hidden, hidden))
        candidate = ops.tanh(candidate + reset * (recalled + p["recall_bias"]))
        state = candidate + update * (state - candidate)
        return (state,), state
