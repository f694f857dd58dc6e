"""What batches and parameters bring, on the host, before it is put on the device; and what comes back from it.

All that is copied lies where the device copies from fastest, and nothing else does: the system can move all other
memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.launches.launch_plan import LaunchPlan, LaunchShape
from graphbptt.codegen.lay_starts import lay_starts
from graphbptt.codegen.schedules.place_arrays import COUNTS, LOSSES
from graphbptt.codegen.schedules.place_starts import (
    FLAGS,
    GIVEN,
    INITIAL,
    NO_PAST,
    STARTED,
    STARTS,
)
from graphbptt.codegen.schedules.schedule_update import PENALTIES
from graphbptt.ir.batch import Batch
from graphbptt.ir.noise import Noise
from graphbptt.ir.plan import Matrix, Plan
from graphbptt_cupy.device import Device
from graphbptt_numpy.boundary import hold_clamps, put_values
from graphbptt_numpy.workspace import Workspace

__all__ = ["HostSpace"]

Array = npt.NDArray[Any]


class HostSpace(Workspace):
    """The host's part of the memory for one shape of batch.

    `fields` are what batches bring, what they start from, and what becomes of them, by the names that these have on the
    device, in arenas that are laid out as they are there. `noise` has what kernels draw the noise from, not the
    numbers. `initial` is what populations have started from where states were brought down; `starts` has what clamps
    give them to start from, at the places that `started` marks. Buffers are allocated as they are asked for: those of
    states.
    """

    def __init__(self, plan: Plan, shape: LaunchShape, dtype: np.dtype[Any], device: Device) -> None:
        self.device, self.shape = device, shape
        self.fields: dict[str, Array] = {}
        self._arenas: dict[str, Array] = {}
        super().__init__(plan, shape.steps, shape.size, shape.ragged, dtype, shape.stepwise)
        self.previous = self.exchange(plan.layout.free)

    def exchange(self, *shape: int, dtype: npt.DTypeLike | None = None) -> Array:
        kind = self.dtype if dtype is None else np.dtype(dtype)
        if not math.prod(shape):
            return np.zeros(shape, kind)
        memory = self.device.allocate_host(math.prod(shape) * kind.itemsize)
        self.bytes += memory.nbytes
        return memory.view(kind).reshape(shape)

    def _matrix(self, matrix: Matrix) -> Array:
        """Weights are packed on the device; here they take memory where something is written."""
        return np.zeros((1, matrix.rows, matrix.columns), self.dtype)

    def _place_data(self, ragged: bool) -> None:
        """Nowhere yet: `place_fields` does it."""

    def place_fields(self, launches: LaunchPlan) -> None:
        """Take the memory for what batches bring and what comes back, those of an arena in their places there."""
        for array in launches.arrays:
            if array.kind == "arena":
                self._arenas[array.name] = self.exchange(*array.shape, dtype=array.dtype)
            elif array.within is not None:
                start = array.within.offset
                memory = self._arenas[array.within.array][start : start + array.bytes]
                self.fields[array.name] = memory.view(array.dtype).reshape(array.shape)
            elif array.kind in ("field", "initial", "loss", "gradient"):
                self.fields[array.name] = self.exchange(*array.shape, dtype=array.dtype)
        self.padded = self.fields.get("padded")
        self.losses, self.penalties, self.gradient = (
            self.fields.get(name, np.zeros(0)) for name in (LOSSES, PENALTIES, "gradient")
        )
        self.held, self.holds, self.given, self.noise = map(self._find, ("held", "holds", "given", "noise"))
        self.initial, self.starts, self.started = map(self._view_starts, (INITIAL, STARTS, STARTED))

    def _find(self, kind: str) -> dict[str, Array]:
        """The fields of one kind, by their populations."""
        names = (name.partition(":") for name in self.fields)
        return {label: self.fields[f"{kind}:{label}"] for found, _, label in names if found == kind}

    def _view_starts(self, name: str) -> dict[str, Array]:
        """What each population starts from, or the like: (history, batch, units)."""
        if name not in self.fields:
            return {}
        views = {}
        for population, columns in lay_starts(self.plan.network).items():
            history = self.plan.network.population[population].history
            rows = self.fields[name][:, columns].reshape(self.size, history, -1)
            views[population] = rows.swapaxes(0, 1)
        return views

    def lanes(self, name: str) -> int:  # noqa: ARG002 - kernels do not mind populations side by side
        return 1

    def draw_noise(self, noise: Noise, population: str, first: int) -> None:
        self.noise[population][...] = [*noise.key(population), noise.example, first - 1, 1]

    def flag_starts(self, given: bool, past: bool) -> None:
        """Say whether all starting rows are given, and whether derivatives pass to them."""
        self.fields[FLAGS][[GIVEN, NO_PAST]] = given, not past

    def take_starts(self, batch: Batch) -> None:
        """Take what clamps give to start from; no derivative passes there."""
        if self.started:
            self.fields[STARTED][...] = False
        for clamp, bound in zip(self.plan.network.clamps, batch.clamps, strict=True):
            if clamp.at == "start":
                put_values(self.starts[clamp.node], clamp.units, bound.values, bound.mask)
                everywhere = np.ones(bound.values.shape, bool) if bound.mask is None else bound.mask
                put_values(self.started[clamp.node], clamp.units, everywhere, bound.mask)

    def take_given(self, batch: Batch) -> None:
        """Take the states of populations that are data, and what those of others are held at."""
        for name in self.held:
            hold_clamps(self.plan, self, batch, name)
        for clamp, bound in zip(self.plan.network.clamps, batch.clamps, strict=True):
            if clamp.at != "start" and clamp.node in self.given:
                put_values(self.given[clamp.node], clamp.units, bound.values, bound.mask)

    def take_targets(self, batch: Batch) -> None:
        """Take what the terms of the loss are measured by."""
        for number, term in enumerate(batch.terms):
            self.fields[COUNTS][number] = term.count
            np.copyto(self.fields[f"weights:{number}"], term.weights)
            if f"wanted:{number}" in self.fields:
                np.copyto(self.fields[f"wanted:{number}"], term.values)

    def take_lengths(self, batch: Batch) -> None:
        """Keep the sequences' own lengths, if they have some."""
        if batch.lengths is not None:
            np.copyto(self.fields["lengths"], batch.lengths)

    def take_rows(self) -> None:
        """Go on from the rows before step 1, to which a step that follows another one has moved its states."""
        for placement in self.plan.placements:
            initial, rows = self.initial[placement.population], self.rows(placement.state)
            before = self.plan.buffer[placement.state.buffer].before
            kept = min(before, len(initial))
            initial[:kept] = rows[before - kept : before][::-1]

    def twin(self, name: str) -> Array:
        """What stands for an array of the device that is copied, flat. Buffers take memory only here: where no one asks
        for states there are none on the host."""
        for found in (self._arenas, self.fields):
            if name in found:
                return found[name].reshape(-1)
        buffer = self.buffer(name) if name in self.plan.buffer else getattr(self, name)
        return buffer.reshape(-1)
