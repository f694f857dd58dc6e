"""An LSTM drawn as a graph: a node for each gate, the cell and the state."""

from __future__ import annotations

from typing import Any

import networkx as nx

from benchmarks.networks.network import Network, Operations, Tensor, add_readout, shape_layer, split_layer
from benchmarks.problem import Array, Gradients, Sizes

__all__ = ["GATES", "Lstm"]

GATES = {"output": "logistic", "input": "logistic", "forget": "logistic", "candidate": "tanh"}


class Lstm(Network):
    """``cell = forget * cell[t-1] + input * candidate`` and ``state = output * tanh(cell)``."""

    name = "lstm"

    def declare(self, sizes: Sizes, noisy: bool) -> nx.DiGraph[Any]:
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_node("x", units=sizes.inputs)
        graph.add_node("cell", units=sizes.hidden, activation="forget * cell[t-1] + input * candidate")
        graph.add_node("state", units=sizes.hidden, activation="output * tanh(cell)")
        for gate, activation in GATES.items():
            graph.add_node(gate, units=sizes.hidden, activation=activation)
            graph.add_edge("x", gate, delay=0)
            graph.add_edge("state", gate, delay=1)
        add_readout(graph, sizes, "state")
        return graph

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        return shape_layer(sizes, len(GATES))

    def split(self, arrays: Gradients, sizes: Sizes) -> dict[str, Array]:
        return split_layer(arrays, tuple(GATES), "state")

    def project(self, ops: Operations, p: dict[str, Tensor], x: Tensor, noisy: bool) -> Tensor:
        return x @ p["input"] + p["bias"]

    def start(self, ops: Operations, p: dict[str, Tensor], batch: int) -> Any:
        hidden = p["recurrent"].shape[0]
        return ops.zeros(batch, hidden), ops.zeros(batch, hidden)

    def step(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor
    ) -> tuple[Any, Tensor]:
        state, cell = carry
        hidden = state.shape[-1]
        gates, candidate = ops.split(ops.add_product(projected, state, p["recurrent"]), (3 * hidden, hidden))
        output, enter, forget = ops.split(ops.logistic(gates), (hidden, hidden, hidden))
        cell = forget * cell + enter * ops.tanh(candidate)
        state = output * ops.tanh(cell)
        return (state, cell), state
