"""What batches and parameters bring, on the host, before it is put on the device; and what comes back from it.

All that is copied lies where the device copies from fastest, and nothing else does: the system can move all other
memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.kernels.update_kernels import REPORT
from graphbptt.codegen.launches.launch_plan import LaunchPlan, LaunchShape
from graphbptt.codegen.schedules.place_arrays import GIVEN, NO_PAST, NOISE_WORDS
from graphbptt.ir.batch import Batch
from graphbptt.ir.noise import Noise
from graphbptt.ir.plan import Matrix, Plan
from graphbptt_cupy.device import Device
from graphbptt_numpy.boundary import put_values
from graphbptt_numpy.workspace import Workspace

__all__ = ["HostSpace"]

Array = npt.NDArray[Any]


class HostSpace(Workspace):
    """The host's part of the memory for one shape of batch.

    Buffers are allocated as they are asked for: those of states. `noise` has what kernels draw the noise from, not the
    numbers; `initial` what populations are given to start from, at the places that `started` marks, and what they have
    started from where states were brought down. `wanted`, `weights` and `counts` are those of the terms of the loss.
    """

    def __init__(self, plan: Plan, shape: LaunchShape, dtype: np.dtype[Any], device: Device) -> None:
        self.device, self.shape = device, shape
        super().__init__(plan, shape.steps, shape.size, shape.ragged, dtype, shape.stepwise)
        self.lengths = self.exchange(shape.size, dtype=np.int64)
        self.flags = self.exchange(2, dtype=np.float64)
        self.divisors: Array | None = None
        self.started = {
            clamp.node: self.exchange(*self.initial[clamp.node].shape, dtype=bool)
            for clamp in plan.network.clamps
            if clamp.at == "start"
        }
        self.previous = self.exchange(plan.layout.free)
        penalties = sum(group.penalty is not None for group in plan.network.groups)
        self.report, self.penalties = (self.exchange(size, dtype=np.float64) for size in (REPORT, penalties))
        terms = len(plan.network.terms)
        self.losses, self.counts = (self.exchange(terms, dtype=np.float64) for _ in range(2))
        self.weights: dict[int, Array] = {}
        self.wanted: dict[int, Array] = {}

    def exchange(self, *shape: int, dtype: npt.DTypeLike | None = None) -> Array:
        kind = self.dtype if dtype is None else np.dtype(dtype)
        if not math.prod(shape):
            return np.zeros(shape, kind)
        memory = self.device.allocate_host(math.prod(shape) * kind.itemsize)
        self.bytes += memory.nbytes
        return memory.view(kind).reshape(shape)

    def _noise(self, units: int) -> Array:  # noqa: ARG002 - the numbers are drawn on the device
        return self.exchange(NOISE_WORDS, dtype=np.uint64)

    def _matrix(self, matrix: Matrix) -> Array:
        """Weights are packed on the device; here they take memory where something is written."""
        return np.zeros((1, matrix.rows, matrix.columns), self.dtype)

    def lanes(self, name: str) -> int:  # noqa: ARG002 - kernels do not mind populations side by side
        return 1

    def draw_noise(self, noise: Noise, population: str, first: int) -> None:
        self.noise[population][...] = [*noise.key(population), noise.example, first - 1, 1]

    def flag_starts(self, given: bool, past: bool) -> None:
        """Say whether all starting rows are given, and whether derivatives pass to them."""
        self.flags[GIVEN], self.flags[NO_PAST] = given, not past

    def take_starts(self, batch: Batch) -> None:
        """Take what clamps give to start from; no derivative passes there."""
        for started in self.started.values():
            started[...] = False
        for clamp, bound in zip(self.plan.network.clamps, batch.clamps, strict=True):
            if clamp.at == "start":
                put_values(self.initial[clamp.node], clamp.units, bound.values, bound.mask)
                everywhere = np.ones(bound.values.shape, bool) if bound.mask is None else bound.mask
                put_values(self.started[clamp.node], clamp.units, everywhere, bound.mask)

    def take_targets(self, batch: Batch) -> None:
        """Take what the terms of the loss are measured by."""
        for number, term in enumerate(batch.terms):
            self.counts[number] = term.count
            np.copyto(self.weights[number], term.weights)
            if number in self.wanted:
                np.copyto(self.wanted[number], term.values)

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

    def place_fields(self, launches: LaunchPlan) -> None:
        """Take the memory for what terms of the loss are measured by, and derivatives divided."""
        for array in launches.arrays:
            kind, _, label = array.name.partition(":")
            if kind == "divisors":
                self.divisors = self.exchange(*array.shape)
            elif kind in ("wanted", "weights"):
                getattr(self, kind)[int(label)] = self.exchange(*array.shape, dtype=array.dtype)

    def twin(self, name: str) -> Array:
        """What stands for an array of the device that is copied, flat. Buffers take memory only here: where no one asks
        for states there are none on the host."""
        kind, _, label = name.partition(":")
        if name in self.plan.buffer:
            found = self.buffer(name)
        elif not label:
            found = getattr(self, name)
        elif kind in ("wanted", "weights"):
            found = getattr(self, kind)[int(label)]
        else:
            found = getattr(self, {"starts": "initial"}.get(kind, kind))[label]
        return found.reshape(-1)
