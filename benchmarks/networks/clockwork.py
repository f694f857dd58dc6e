"""The clockwork network (Koutník et al. 2014), as the shipped cell: modules that act at their own periods.

At a step only some modules act, those whose periods divide its number; they are the first ones, since the periods are
powers of two. A loop in Python computes those alone. One that is traced for pieces of 16 steps does so at 15 of
them; at the last it computes all and masks those of the longer periods that do not act.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import networkx as nx
import numpy as np

from benchmarks.networks.network import Network, Operations, Tensor, add_readout, shape_layer
from benchmarks.problem import Array, Gradients, Sizes

__all__ = ["Clockwork"]

MODULES = 8


class Clockwork(Network):
    """Periods 1, 2, 4 ... 128; a module reads itself and the slower ones."""

    name = "clockwork"
    piece = 16

    def declare(self, sizes: Sizes, noisy: bool) -> nx.DiGraph[Any]:
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_node("x", units=sizes.inputs)
        periods = [2**module for module in range(MODULES)]
        graph.add_node("h", units=sizes.hidden, cell={"clockwork": {"periods": periods}})
        graph.add_edge("x", "h", delay=0)
        add_readout(graph, sizes, "h")
        return graph

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        return shape_layer(sizes)

    def split(self, arrays: Gradients, sizes: Sizes) -> dict[str, Array]:
        size = sizes.hidden // MODULES
        recurrent = {
            f"h->h#{2**module}": arrays["recurrent"][module * size :, module * size : (module + 1) * size]
            for module in range(MODULES)
        }
        layer = {"x->h": arrays["input"], "h.bias": arrays["bias"]}
        return {**layer, **recurrent, "h->y": arrays["readout"], "y.bias": arrays["readout_bias"]}

    def complete(self, ops: Operations, p: dict[str, Tensor], sizes: Sizes) -> dict[str, Tensor]:
        widths = [module * sizes.hidden // MODULES for module in range(1, MODULES + 1)]
        return {**p, "first": tuple(p["recurrent"][:, :width] for width in widths)}

    def count_products(self, group: str, sizes: Sizes) -> float:
        _, _, period = group.partition("#")
        rates = [0.5**module for module in range(MODULES)]
        acting = 1 / int(period) if period else sum(rates) / MODULES if group == "x->h" else 1
        return acting * super().count_products(group, sizes)

    def project(self, ops: Operations, p: dict[str, Tensor], x: Tensor, noisy: bool) -> Tensor:
        steps, hidden = x.shape[0], p["recurrent"].shape[0]
        return x @ p["input"] + p["bias"], ops.constant(_find_due(steps, hidden))

    def start(self, ops: Operations, p: dict[str, Tensor], batch: int) -> Any:
        return (ops.zeros(batch, p["recurrent"].shape[0]),)

    def step(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor
    ) -> tuple[Any, Tensor]:
        (state,), (net, due) = carry, projected
        state = state + due * (ops.tanh(ops.add_product(net, state, p["recurrent"])) - state)
        return (state,), state

    def step_at(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor, step: int
    ) -> tuple[Any, Tensor]:
        (state,), (net, _) = carry, projected
        hidden = state.shape[-1]
        modules = min(MODULES, (step & -step).bit_length())
        acting = modules * hidden // MODULES
        moved = ops.tanh(ops.add_product(net[..., :acting], state, p["first"][modules - 1]))
        state = ops.concatenate([moved, state[..., acting:]]) if acting < hidden else moved
        return (state,), state

    def step_in(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor, step: int, piece: int
    ) -> tuple[Any, Tensor]:
        # The number of the step modulo this power of two is the same in every piece.
        known = piece & -piece
        if step % known == 0:
            return self.step(ops, p, carry, projected)
        return self.step_at(ops, p, carry, projected, step)


@cache
def _find_due(steps: int, hidden: int) -> Array:
    """Which units act at which step, 1 or 0: (steps, 1, hidden)."""
    periods = np.repeat(2 ** np.arange(MODULES), hidden // MODULES)
    due = np.arange(1, steps + 1)[:, None] % periods == 0
    acting: Array = due[:, None].astype(float)
    return acting
