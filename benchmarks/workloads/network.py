"""What a recurrent workload is: a network declared as a graph, and how its parameters map to the hand-written form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import networkx as nx

from benchmarks.problem import Array, Gradients, Sizes
from graphbptt.ir.data import Clamp, Target

__all__ = ["Network"]


@dataclass(frozen=True, slots=True)
class Network:
    """A network whose hidden layer consists of `gates`, the nodes that own one block of columns each, in order.

    `declare` makes the graph, with nodes ``x`` and ``y``; `state` is the node that feeds back and is read out.
    """

    name: str
    gates: tuple[str, ...]
    state: str
    declare: Callable[[Sizes], nx.DiGraph[Any]]

    @property
    def inputs(self) -> tuple[Clamp, ...]:
        return (Clamp("x", "x"),)

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("y", "wanted"),)

    def split(self, arrays: Gradients) -> dict[str, Array]:
        """Arrays in the hand-written form (gates side by side) as views by the group names of the compiled one."""
        groups = {f"{self.state}->y": arrays["readout"], "y.bias": arrays["readout_bias"]}
        units = arrays["bias"].size // len(self.gates)
        for block, gate in enumerate(self.gates):
            columns = slice(block * units, (block + 1) * units)
            groups[f"x->{gate}"] = arrays["input"][:, columns]
            recurrent = arrays["recurrent"]
            groups[f"{self.state}->{gate}"] = recurrent if recurrent.ndim == 1 else recurrent[:, columns]
            groups[f"{gate}.bias"] = arrays["bias"][columns]
        return groups
