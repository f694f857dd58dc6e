"""What batches and parameters bring, on the host, before it is put on the device; and what comes back from it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.launches import LaunchPlan, LaunchShape
from graphbptt.codegen.place_arrays import NOISE_WORDS
from graphbptt.ir.batch import Batch
from graphbptt.ir.noise import Noise
from graphbptt.ir.plan import Plan
from graphbptt_cupy.device import Device
from graphbptt_numpy.workspace import Workspace

__all__ = ["HostSpace"]

Array = npt.NDArray[Any]


class HostSpace(Workspace):
    """The host's part of the memory for one shape of batch.

    Buffers are allocated as they are asked for: those of states, and those that losses read and add to. `noise` has
    what kernels draw the noise from, not the numbers.
    """

    def __init__(self, plan: Plan, shape: LaunchShape, dtype: np.dtype[Any], device: Device) -> None:
        self.device, self.shape = device, shape
        super().__init__(plan, shape.steps, shape.size, shape.ragged, dtype, shape.stepwise)
        self.noise = {population.name: np.zeros(NOISE_WORDS, np.uint64) for population in plan.network.noisy}
        self.lengths = np.zeros(shape.size, np.int64)

    def allocate(self, *shape: int) -> Array:
        """Zeros where the device copies from."""
        memory = self.device.allocate_host(math.prod(shape) * self.dtype.itemsize)
        self.bytes += memory.nbytes
        return memory.view(self.dtype).reshape(shape)

    def lanes(self, name: str) -> int:  # noqa: ARG002 - kernels do not mind populations side by side
        return 1

    def draw_noise(self, noise: Noise, population: str, first: int) -> None:
        self.noise[population][...] = [*noise.key(population), noise.example, first - 1, 1]

    def take_lengths(self, batch: Batch) -> None:
        """Keep the sequences' own lengths, if they have some."""
        if batch.lengths is not None:
            np.copyto(self.lengths, batch.lengths)

    def take_rows(self) -> None:
        """Go on from the rows before step 1, to which a step that follows another one has moved its states."""
        for placement in self.plan.placements:
            initial, rows = self.initial[placement.population], self.rows(placement.state)
            before = self.plan.buffer[placement.state.buffer].before
            kept = min(before, len(initial))
            initial[:kept] = rows[before - kept : before][::-1]

    def twins(self, launches: LaunchPlan) -> dict[str, Array]:
        """What stands for each array of the device that is copied, flat."""
        found = dict(self._list_arrays())
        for array in launches.arrays:
            if array.kind == "buffer":
                found[array.name] = self.buffer(array.name)
        return {name: array.reshape(-1) for name, array in found.items()}

    def _list_arrays(self) -> Iterator[tuple[str, Array]]:
        yield from (("vector", self.vector), ("dvector", self.vector_gradient), ("lengths", self.lengths))
        if self.padded is not None:
            yield "padded", self.padded
        for name, matrix in self.matrices.items():
            yield from ((name, matrix), (f"d{name}", self.matrix_gradients[name]))
        for name, block in self.blocks.items():
            yield from ((f"{name}:values", block.values), (f"d{name}", block.gradient))
        by_population = {"initial": self.initial, "held": self.held, "holds": self.holds, "noise": self.noise}
        for kind, arrays in by_population.items():
            yield from ((f"{kind}:{name}", array) for name, array in arrays.items())
