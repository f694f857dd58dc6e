"""One problem of the benchmarks: its sizes, data and parameters, drawn from a seed.

A network of `gates` blocks of hidden units (1 for a tanh network, 4 for an LSTM) reads an input sequence; a linear
readout has a squared error at every step:

    net[t]  = x[t] @ input + hidden[t-1] @ recurrent + bias      (steps, batch, gates * hidden)
    y[t]    = hidden[t] @ readout + readout_bias
    loss    = sum((y - wanted) ** 2) / 2 / (steps * batch)

The hidden state, and the cell of an LSTM, start at zero. Every contender is timed on a call that gives the loss and
all five gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Gradients", "Problem", "Sizes", "draw_problem"]

Array = npt.NDArray[Any]
Gradients = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the cost of a problem depends on; where there are `entries`, the recurrent weights are sparse."""

    inputs: int
    hidden: int
    batch: int
    steps: int
    gates: int
    entries: int = 0

    @property
    def outputs(self) -> int:
        """The readout predicts a vector as wide as the input."""
        return self.inputs

    @property
    def fan_in(self) -> int:
        """How many hidden units one of them reads, on average."""
        return self.entries // self.hidden if self.entries else self.hidden

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter, and of its gradient, by name."""
        return {
            "input": (self.inputs, self.gates * self.hidden),
            "recurrent": (self.entries,) if self.entries else (self.hidden, self.gates * self.hidden),
            "bias": (self.gates * self.hidden,),
            "readout": (self.hidden, self.outputs),
            "readout_bias": (self.outputs,),
        }

    def __str__(self) -> str:
        return f"({self.inputs}, {self.hidden}, {self.batch}, {self.steps})"


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Sizes, `x` (steps, batch, inputs), `wanted` (steps, batch, outputs) and the parameters by name."""

    sizes: Sizes
    x: Array
    wanted: Array
    parameters: dict[str, Array]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.x.dtype


def draw_problem(sizes: Sizes, dtype: npt.DTypeLike = "float32", seed: int = 0) -> Problem:
    """Standard normal data, weights of variance one over their fan-in: states neither vanish nor saturate."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int, std: float = 1.0) -> Array:
        return rng.normal(0, std, shape).astype(dtype)

    fan_in = {"readout": sizes.hidden, "readout_bias": sizes.hidden}
    parameters = {
        name: draw(*shape, std=fan_in.get(name, sizes.inputs + sizes.fan_in) ** -0.5)
        for name, shape in sizes.shapes().items()
    }
    x = draw(sizes.steps, sizes.batch, sizes.inputs)
    return Problem(sizes, x, draw(sizes.steps, sizes.batch, sizes.outputs), parameters)
