"""What a network of the benchmarks is: a declaration for graphbptt and, for its peers, the arrays and the step.

Peers keep the parameters in few arrays (the gates of an LSTM side by side, say), as someone who writes the network by
hand would. `Network.split` shows those arrays under the names that graphbptt gives to their parts; so one draw of
parameters serves all, and gradients are compared by the same names. What `split` does not show stays zero.

A step is written once, in terms of `Operations`, which PyTorch and JAX both have.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

from benchmarks.problem import Array, Gradients, Sizes
from graphbptt.ir.data import Clamp, Target

__all__ = ["Network", "Operations", "Tensor", "add_readout", "shape_layer", "split_layer"]

Tensor = Any
"""An array of whatever library runs the step."""


@dataclass(frozen=True, slots=True)
class Operations:
    """What a step needs of a library beyond arithmetic, ``@`` and slices."""

    tanh: Callable[[Tensor], Tensor]
    logistic: Callable[[Tensor], Tensor]
    relu: Callable[[Tensor], Tensor]
    concatenate: Callable[[Sequence[Tensor]], Tensor]
    """Along the last axis."""
    stack: Callable[[Sequence[Tensor]], Tensor]
    """Along a new first axis."""
    split: Callable[[Tensor, Sequence[int]], Sequence[Tensor]]
    """``split(tensor, widths)``: parts of the last axis; its derivative joins them once, which that of slices does
    not."""
    add_product: Callable[[Tensor, Tensor, Tensor], Tensor]
    """``add_product(net, left, right)``: ``net + left @ right``, in one call where the library has one."""
    zeros: Callable[..., Tensor]
    """``zeros(*shape)``, of the precision of the problem."""
    constant: Callable[[Array], Tensor]
    scatter: Callable[[Tensor, Array, Array, tuple[int, int]], Tensor]
    """``scatter(entries, rows, columns, shape)``: a matrix with these entries, zero elsewhere."""
    normal: Callable[..., Tensor]
    """``normal(*shape)``: standard normal numbers, for whole sequences."""


class Network(ABC):
    """A recurrent layer that reads ``x`` and is read out by ``y``, which has a squared error at every step."""

    name: str
    noise: bool = False
    """Whether its units are noisy; contenders are compared without noise and timed with it."""
    piece: int = 1
    """How many steps a scan should write out, since `step_in` knows more of them than `step` does."""

    @abstractmethod
    def declare(self, sizes: Sizes, noisy: bool) -> nx.DiGraph[Any]:
        """The graph, with nodes ``x`` and ``y``."""

    def inputs(self, sizes: Sizes) -> tuple[Clamp, ...]:
        return (Clamp("x", "x"),)

    def targets(self, sizes: Sizes) -> tuple[Target, ...]:
        return (Target("y", "wanted"),)

    def count_products(self, group: str, sizes: Sizes) -> float:
        """How many products a group's weights take part in at each step, on average.

        They are the forward one, the derivative by the weights and the derivative by the states that are read, which
        nobody needs of what is given. Edges to what is given do nothing.
        """
        clamped = (clamp.node for clamp in self.inputs(sizes))
        given = {name for node in clamped for name in (node if isinstance(node, tuple) else (node,))}
        source, _, target = group.partition("->")
        return 0 if target in given else 2 if source in given else 3

    @abstractmethod
    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """The arrays that peers keep."""

    @abstractmethod
    def split(self, arrays: Gradients, sizes: Sizes) -> dict[str, Array]:
        """Views of these arrays by the names of graphbptt's groups."""

    def obey(self, arrays: Gradients, sizes: Sizes) -> None:
        """Change drawn parameters, in place, to what the network allows."""

    def complete(self, ops: Operations, p: dict[str, Tensor], sizes: Sizes) -> dict[str, Tensor]:
        """The parameters and what follows from them alone: parts of weights, say, that are cut out once rather than at
        each step, where every cut has a derivative as large as the whole."""
        return p

    @abstractmethod
    def project(self, ops: Operations, p: dict[str, Tensor], x: Tensor, noisy: bool) -> Tensor:
        """What does not recur, for all steps at once: (steps, ...), or a tuple, of which a step reads a row."""

    @abstractmethod
    def start(self, ops: Operations, p: dict[str, Tensor], batch: int) -> Any:
        """What the first step goes on from: a tuple of tensors."""

    @abstractmethod
    def step(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor
    ) -> tuple[Any, Tensor]:
        """One step: what the next one goes on from, and the state that is read out, (batch, hidden)."""

    def step_at(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor, step: int
    ) -> tuple[Any, Tensor]:
        """The same in a loop that knows the number of its `step`, counted from 1."""
        return self.step(ops, p, carry, projected)

    def step_in(
        self, ops: Operations, p: dict[str, Tensor], carry: Any, projected: Tensor, step: int, piece: int
    ) -> tuple[Any, Tensor]:
        """The same in a loop over pieces of `piece` steps that knows the number of its `step` within the piece."""
        return self.step(ops, p, carry, projected)

    def read_out(self, p: dict[str, Tensor], states: Tensor) -> Tensor:
        """The outputs of all steps."""
        return states @ p["readout"] + p["readout_bias"]


def add_readout(graph: nx.DiGraph[Any], sizes: Sizes, state: str) -> None:
    graph.add_node("y", units=sizes.outputs)
    graph.add_edge(state, "y", delay=0)


def shape_layer(sizes: Sizes, gates: int = 1) -> dict[str, tuple[int, ...]]:
    """A layer whose `gates` own a block of columns each, and its readout."""
    width = gates * sizes.hidden
    return {
        "input": (sizes.inputs, width),
        "recurrent": (sizes.hidden, width),
        "bias": (width,),
        "readout": (sizes.hidden, sizes.outputs),
        "readout_bias": (sizes.outputs,),
    }


def split_layer(arrays: Gradients, gates: Sequence[str], state: str, source: str = "x") -> dict[str, Array]:
    """The arrays of `shape_layer` by group: a block of columns for each of the nodes `gates`, in order."""
    groups = {f"{state}->y": arrays["readout"], "y.bias": arrays["readout_bias"]}
    units = arrays["bias"].size // len(gates)
    for block, gate in enumerate(gates):
        columns = slice(block * units, (block + 1) * units)
        groups[f"{source}->{gate}"] = arrays["input"][:, columns]
        groups[f"{state}->{gate}"] = arrays["recurrent"][..., columns]
        groups[f"{gate}.bias"] = arrays["bias"][columns]
    return groups
