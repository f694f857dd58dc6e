"""One problem of the benchmarks: its sizes, data and parameters, drawn from a seed.

A recurrent layer reads an input sequence; a linear readout has a squared error at every step:

    y[t]    = hidden[t] @ readout + readout_bias
    loss    = sum((y - wanted) ** 2) / 2 / (steps * batch)

States start at zero. Every contender is timed on a call that gives the loss and all gradients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Gradients", "Problem", "Sizes"]

Array = npt.NDArray[Any]
Gradients = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the cost of a problem depends on; where there are `entries`, the recurrent weights are sparse."""

    inputs: int
    hidden: int
    batch: int
    steps: int
    entries: int = 0

    @property
    def outputs(self) -> int:
        """The readout predicts a vector as wide as the input."""
        return self.inputs

    @property
    def fan_in(self) -> int:
        """How many hidden units one of them reads, on average."""
        return self.entries // self.hidden if self.entries else self.hidden

    def __str__(self) -> str:
        return f"({self.inputs}, {self.hidden}, {self.batch}, {self.steps})"


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Sizes, `x` (steps, batch, inputs), `wanted` (steps, batch, outputs) and the parameters as peers keep them."""

    sizes: Sizes
    x: Array
    wanted: Array
    parameters: Gradients

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.x.dtype

    def empty_gradients(self) -> Gradients:
        return {name: np.zeros_like(array) for name, array in self.parameters.items()}

    def save(self, path: Path) -> None:
        """Write it where the processes of the contenders read it."""
        arrays: Mapping[str, Any] = {f"parameter {name}": array for name, array in self.parameters.items()}
        np.savez(path, x=self.x, wanted=self.wanted, **arrays)

    @classmethod
    def load(cls, path: Path, sizes: Sizes) -> Problem:
        with np.load(path, allow_pickle=False) as arrays:
            parameters = {
                name.removeprefix("parameter "): arrays[name]
                for name in arrays.files
                if name.startswith("parameter ")
            }
            return cls(sizes, arrays["x"], arrays["wanted"], parameters)
