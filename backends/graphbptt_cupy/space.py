"""Memory of one shape of batch: what a plan computes, on the device; what it is given, on the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.lifetimes import find_same
from graphbptt.ir.noise import Noise
from graphbptt.ir.operations import View
from graphbptt.ir.plan import Plan, SparseBlock
from graphbptt_cupy.device import Device
from graphbptt_numpy.workspace import Workspace

__all__ = ["DeviceSpace", "Entries", "HostSpace"]

Array = npt.NDArray[Any]

NOISE_WORDS = 5
"""A key of two words, how many examples and steps come before, and whether there is noise at all."""


class HostSpace(Workspace):
    """What batches and parameters bring, before it is put on the device, and what comes back from it.

    Buffers are allocated as they are asked for: those of states, and those that losses read and add to. `noise` has
    what kernels draw the noise from, not the numbers.
    """

    def __init__(
        self, plan: Plan, steps: int, size: int, ragged: bool, dtype: np.dtype[Any], stepwise: bool
    ) -> None:
        super().__init__(plan, steps, size, ragged, dtype, stepwise)
        self.stepwise = stepwise
        self.noise = {population.name: np.zeros(NOISE_WORDS, np.uint64) for population in plan.network.noisy}

    def lanes(self, name: str) -> int:  # noqa: ARG002 - kernels do not mind populations side by side
        return 1

    def draw_noise(self, noise: Noise, population: str, first: int) -> None:
        self.noise[population][...] = [*noise.key(population), noise.example, first - 1, 1]


@dataclass(frozen=True, slots=True)
class Entries:
    """Weights that are kept as entries on the device, by row and by column; `order` is that of the columns."""

    starts: Any
    rows: Any
    columns: Any
    values: Any
    gradient: Any
    column_starts: Any
    column_rows: Any
    column_values: Any
    order: Any


class DeviceSpace:
    """The buffers of a plan on the device, as (rows * examples, columns), and the packed weights."""

    def __init__(self, plan: Plan, host: HostSpace, device: Device) -> None:
        self.plan, self.host, self.device = plan, host, device
        self.steps, self.size = host.steps, host.size
        self.vector, self.vector_gradient = (self.zeros(plan.vector_width) for _ in range(2))
        shapes = {matrix.name: (matrix.rows, matrix.columns) for matrix in plan.matrices}
        self.matrices = {name: self.zeros(*shape) for name, shape in shapes.items()}
        self.matrix_gradients = {name: self.zeros(*shape) for name, shape in shapes.items()}
        self.entries = {block.name: self._place(block) for block in plan.blocks}
        xp = device.xp
        self.padded = None if host.padded is None else xp.zeros(host.padded.shape, bool)
        self.lengths = xp.zeros(self.size, np.int64)
        self.held = {name: xp.zeros(held.shape, bool) for name, held in host.held.items()}
        self.holds = {name: self.zeros(*holds.shape) for name, holds in host.holds.items()}
        self.initial = {name: self.zeros(*rows.shape) for name, rows in host.initial.items()}
        self.noise = {name: xp.zeros(NOISE_WORDS, np.uint64) for name in host.noise}
        self._same = find_same(plan)
        self._buffers: dict[str, Any] = {}
        self._scratch: dict[tuple[int, int], Any] = {}

    def zeros(self, *shape: int) -> Any:
        return self.device.xp.zeros(shape, self.host.dtype)

    def scratch(self, rows: int, columns: int) -> Any:
        """Memory of a shape, the same for all that need it one after the other."""
        if (rows, columns) not in self._scratch:
            self._scratch[rows, columns] = self.zeros(rows, columns)
        return self._scratch[rows, columns]

    def buffer(self, name: str) -> Any:
        """A whole buffer; that of net inputs which the states are a copy of is theirs."""
        name = self._same.get(name, name)
        if name not in self._buffers:
            shape = self.plan.buffer[name]
            self._buffers[name] = self.zeros(
                (shape.before + self.steps + shape.after) * self.size, shape.width
            )
        return self._buffers[name]

    def from_first_step(self, name: str) -> Any:
        """A buffer from its step 1 on."""
        return self.buffer(name)[self._row(name) * self.size :]

    def rows(self, view: View, first: int, last: int) -> Any:
        """Columns of a buffer at steps `first` to `last`, counted from 1: (steps * examples, columns), a view."""
        begin = self._row(view.buffer) + view.shift + first - 1
        end = begin + last - first + 1
        return self.buffer(view.buffer)[begin * self.size : end * self.size, view.start : view.stop]

    def whole(self, view: View) -> Any:
        """Columns at all steps."""
        return self.rows(view, 1, self.steps)

    def _row(self, name: str) -> int:
        """Where step 1 lies."""
        return self.plan.buffer[self._same.get(name, name)].before

    def _place(self, block: SparseBlock) -> Entries:
        rows, columns = block.pattern.rows, block.pattern.columns
        order = np.argsort(columns, kind="stable")
        column_starts = np.searchsorted(columns[order], np.arange(block.columns + 1))
        indices = (block.starts(), rows, columns, column_starts, rows[order])
        starts, rows, columns, column_starts, column_rows = (
            self.device.xp.asarray(index.astype(np.int32)) for index in indices
        )
        values, gradient, column_values = (self.zeros(block.pattern.size) for _ in range(3))
        return Entries(
            starts, rows, columns, values, gradient, column_starts, column_rows, column_values, order
        )
