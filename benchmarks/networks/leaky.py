"""Excitatory and inhibitory leaky units with noise (Song, Yang and Wang 2016), four fifths of them excitatory."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np

from benchmarks.networks.network import Network, Operations, Tensor, add_readout, shape_layer
from benchmarks.problem import Array, Gradients, Sizes

__all__ = ["Leaky"]

RATE = 0.2
NOISE = 0.1
SPECTRAL_RADIUS = 0.9
"""Of the recurrent weights: from 1 on, rectified units may excite each other without bound."""
KINDS = ("e", "i")


def _columns(sizes: Sizes) -> dict[str, slice]:
    excitatory = round(0.8 * sizes.hidden)
    return {"e": slice(0, excitatory), "i": slice(excitatory, sizes.hidden)}


class Leaky(Network):
    """``h = (1 - rate) * h[t-1] + rate * relu(net + noise)``."""

    name = "leaky"
    noise = True

    def declare(self, sizes: Sizes, noisy: bool) -> nx.DiGraph[Any]:
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_node("x", units=sizes.inputs)
        for kind, columns in _columns(sizes).items():
            graph.add_node(
                kind,
                units=columns.stop - columns.start,
                activation=f"{1 - RATE} * {kind}[t-1] + {RATE} * relu(net)",
                noise=NOISE if noisy else 0,
            )
        for kind in KINDS:
            graph.add_edge("x", kind, delay=0)
            for other in KINDS:
                graph.add_edge(kind, other, delay=1)
        add_readout(graph, sizes, "e")
        return graph

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        return shape_layer(sizes)

    def split(self, arrays: Gradients, sizes: Sizes) -> dict[str, Array]:
        columns = _columns(sizes)
        groups = {"e->y": arrays["readout"][columns["e"]], "y.bias": arrays["readout_bias"]}
        for target in KINDS:
            groups[f"x->{target}"] = arrays["input"][:, columns[target]]
            groups[f"{target}.bias"] = arrays["bias"][columns[target]]
            for source in KINDS:
                groups[f"{source}->{target}"] = arrays["recurrent"][columns[source], columns[target]]
        return groups

    def obey(self, arrays: Gradients, sizes: Sizes) -> None:
        """Dale's law: rows of inhibitory units are negative, and as strong in sum as the others; activity decays."""
        recurrent, inhibitory = arrays["recurrent"], _columns(sizes)["i"]
        np.abs(recurrent, out=recurrent)
        recurrent[inhibitory] *= -4
        recurrent *= SPECTRAL_RADIUS / np.abs(np.linalg.eigvals(recurrent)).max()

    def project(self, ops: Operations, p: dict[str, Tensor], x: Tensor, noisy: bool) -> Tensor:
        net = x @ p["input"] + p["bias"]
        return net + NOISE * ops.normal(*net.shape) if noisy else net

    def start(self, ops: Operations, p: dict[str, Tensor], batch: int) -> Any:
        return (ops.zeros(batch, p["recurrent"].shape[0]),)

    def step(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor
    ) -> tuple[Any, Tensor]:
        (state,) = carry
        state = (1 - RATE) * state + RATE * ops.relu(ops.add_product(projected, state, p["recurrent"]))
        return (state,), state
