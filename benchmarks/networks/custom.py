"""A network that is in no library: three gated populations in a ring, with feedback and delays of 1, 2 and 5 steps.

By hand the populations are the first axis of every tensor, so that a step is one batched product for the gates and one
for the candidates, whatever the number of populations.
"""

from __future__ import annotations

from typing import Any

import networkx as nx

from benchmarks.networks.network import Network, Operations, Tensor
from benchmarks.problem import Array, Gradients, Sizes

__all__ = ["Custom"]

RING = ("a", "b", "c")
LONGEST = 5


class Custom(Network):
    """``a = keep * a[t-1] + (1 - keep) * tanh(net)``, the same for b and c; each has `hidden` / 3 units.

    The candidate of a population reads itself at t-1, the one before it in the ring at t-2 and the one after it at
    t-5; its gate reads itself and the one before it, both at t-1.
    """

    name = "custom"

    def declare(self, sizes: Sizes, noisy: bool) -> nx.DiGraph[Any]:
        graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
        units = sizes.hidden // len(RING)
        graph.add_node("x", units=sizes.inputs)
        graph.add_node("y", units=sizes.outputs)
        for place, name in enumerate(RING):
            gate = f"keep_{name}"
            graph.add_node(gate, units=units, activation="logistic")
            graph.add_node(name, units=units, activation=f"{gate} * {name}[t-1] + (1 - {gate}) * tanh(net)")
            before, after = RING[place - 1], RING[(place + 1) % len(RING)]
            graph.add_edge("x", gate, delay=0)
            graph.add_edge("x", name, delay=0)
            graph.add_edge(name, gate, delay=1)
            graph.add_edge(before, gate, delay=1)
            graph.add_edge(name, name, delay=1)
            graph.add_edge(before, name, delay=2)
            graph.add_edge(after, name, delay=5)
            graph.add_edge(name, "y", delay=0)
        return graph

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        ring, units = len(RING), sizes.hidden // len(RING)
        return {
            "input": (sizes.inputs, 2 * ring * units),
            "bias": (2, ring, 1, units),
            "gate": (ring, 2 * units, units),
            "candidate": (ring, 3 * units, units),
            "readout": (sizes.hidden, sizes.outputs),
            "readout_bias": (sizes.outputs,),
        }

    def split(self, arrays: Gradients, sizes: Sizes) -> dict[str, Array]:
        units = sizes.hidden // len(RING)
        groups = {"y.bias": arrays["readout_bias"]}
        for place, name in enumerate(RING):
            before, after = RING[place - 1], RING[(place + 1) % len(RING)]
            gate, candidate = arrays["gate"][place], arrays["candidate"][place]
            columns = slice(place * units, (place + 1) * units)
            shifted = slice((len(RING) + place) * units, (len(RING) + place + 1) * units)
            groups |= {
                f"x->keep_{name}": arrays["input"][:, columns],
                f"x->{name}": arrays["input"][:, shifted],
                f"keep_{name}.bias": arrays["bias"][0, place, 0],
                f"{name}.bias": arrays["bias"][1, place, 0],
                f"{name}->keep_{name}": gate[:units],
                f"{before}->keep_{name}": gate[units:],
                f"{name}->{name}": candidate[:units],
                f"{before}->{name}": candidate[units : 2 * units],
                f"{after}->{name}": candidate[2 * units :],
                f"{name}->y": arrays["readout"][columns],
            }
        return groups

    def project(self, ops: Operations, p: dict[str, Tensor], x: Tensor, noisy: bool) -> Tensor:
        ring, _, units = p["gate"].shape
        steps, batch = x.shape[0], x.shape[1]
        projected = (x @ p["input"]).reshape(steps, batch, 2, ring, units)
        return projected.swapaxes(1, 2).swapaxes(2, 3) + p["bias"]

    def start(self, ops: Operations, p: dict[str, Tensor], batch: int) -> Any:
        ring, _, units = p["gate"].shape
        return tuple(ops.zeros(ring, batch, units) for _ in range(LONGEST))

    def step(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor
    ) -> tuple[Any, Tensor]:
        last, second, fifth = carry[0], carry[1], carry[4]
        net, net_candidate = projected
        *first, final = last
        before = ops.stack([final, *first])
        keep = ops.logistic(ops.add_product(net, ops.concatenate([last, before]), p["gate"]))
        *first, final = second
        earlier = ops.stack([final, *first])
        initial, *rest = fifth
        feedback = ops.stack([*rest, initial])
        read = ops.concatenate([last, earlier, feedback])
        candidate = ops.tanh(ops.add_product(net_candidate, read, p["candidate"]))
        state = candidate + keep * (last - candidate)
        return (state, *carry[:4]), ops.concatenate(list(state))
