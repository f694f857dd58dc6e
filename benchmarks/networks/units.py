"""A graph of single units, each of which reads sixteen others; the first are given, the last are wanted.

By hand the graph's weights are scattered into one matrix per sequence, mostly zeros, which at this size costs less than
any product that skips them.
"""

from __future__ import annotations

from typing import Any

import networkx as nx

from benchmarks.networks.network import Network, Operations, Tensor
from benchmarks.networks.sparse import draw_places
from benchmarks.problem import Array, Gradients, Sizes
from graphbptt.ir.data import Clamp, Target

__all__ = ["Units"]


class Units(Network):
    """``u = tanh(net)`` for each of `hidden` nodes, with `entries` edges of delay 1."""

    name = "units"

    def declare(self, sizes: Sizes, noisy: bool) -> nx.DiGraph[Any]:
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_nodes_from((f"u{unit}" for unit in range(sizes.hidden)), activation="tanh", bias=True)
        rows, columns = draw_places(sizes)
        graph.add_edges_from(
            (f"u{row}", f"u{column}") for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        )
        return graph

    def inputs(self, sizes: Sizes) -> tuple[Clamp, ...]:
        return (Clamp(tuple(f"u{unit}" for unit in range(sizes.inputs)), "x"),)

    def targets(self, sizes: Sizes) -> tuple[Target, ...]:
        wanted = range(sizes.hidden - sizes.outputs, sizes.hidden)
        return (Target(tuple(f"u{unit}" for unit in wanted), "wanted"),)

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        return {"recurrent": (sizes.entries,), "bias": (sizes.hidden,)}

    def split(self, arrays: Gradients, sizes: Sizes) -> dict[str, Array]:
        rows, columns = draw_places(sizes)
        groups = {f"u{unit}.bias": arrays["bias"][unit : unit + 1] for unit in range(sizes.hidden)}
        for entry, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
            groups[f"u{row}->u{column}"] = arrays["recurrent"][entry : entry + 1].reshape(1, 1)
        return groups

    def complete(self, ops: Operations, p: dict[str, Tensor], sizes: Sizes) -> dict[str, Tensor]:
        rows, columns = draw_places(sizes)
        matrix = ops.scatter(p["recurrent"], rows, columns, (sizes.hidden, sizes.hidden))
        return {**p, "matrix": matrix[:, sizes.inputs :], "bias": p["bias"][sizes.inputs :]}

    def project(self, ops: Operations, p: dict[str, Tensor], x: Tensor, noisy: bool) -> Tensor:
        return x

    def start(self, ops: Operations, p: dict[str, Tensor], batch: int) -> Any:
        return (ops.zeros(batch, p["matrix"].shape[0]),)

    def step(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor
    ) -> tuple[Any, Tensor]:
        given = projected.shape[-1]
        net = ops.add_product(p["bias"], carry[0], p["matrix"])
        state = ops.concatenate([projected, ops.tanh(net)])
        return (state,), state[..., -given:]

    def read_out(self, p: dict[str, Tensor], states: Tensor) -> Tensor:
        return states
