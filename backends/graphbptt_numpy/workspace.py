"""Memory for one shape of batch: every buffer of a plan, allocated once, and views into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Number
from graphbptt.ir.plan import Plan, Row, View
from graphbptt_numpy.pointwise import Place, RowValue, evaluate_row

__all__ = ["Workspace"]

Array = npt.NDArray[Any]


class Workspace:
    """The buffers of a plan for `steps` steps and `size` examples, axes (time, batch, unit), and the packed weights.

    `padded` (steps, batch) marks the steps behind the sequences' ends; None where all sequences are full. `initial`
    holds every population's initial rows, (history, batch, units). For restrained populations `held` marks the states
    to be set and `holds` their values.
    """

    def __init__(self, plan: Plan, steps: int, size: int, ragged: bool, dtype: np.dtype[Any]) -> None:
        self.plan = plan
        self.steps = steps
        self.size = size
        self.dtype = dtype
        self.padded = np.zeros((steps, size), bool) if ragged else None
        self.parameters = np.zeros(plan.layout.size, dtype)
        self.vector = np.zeros(plan.vector_width, dtype)
        self.vector_gradient = np.zeros(plan.vector_width, dtype)
        self.matrices = {matrix.name: self._matrix(matrix.name) for matrix in plan.matrices}
        self.matrix_gradients = {m.name: np.zeros((m.rows, m.columns), dtype) for m in plan.matrices}
        self.initial = {p.name: np.zeros((p.history, size, p.units), dtype) for p in plan.network.populations}
        clamped = {clamp.node for clamp in plan.network.clamps if clamp.at != "start"}
        held = [p for p in plan.placements if p.restrained and (ragged or p.population in clamped)]
        self.held = {p.population: np.zeros((steps, size, p.state.width), bool) for p in held}
        self.holds = {p.population: np.zeros((steps, size, p.state.width), dtype) for p in held}
        self._transposed: dict[str, Array] = {}
        self._buffers: dict[str, Array] = {}
        self._scratch: dict[tuple[int, ...], Array] = {}
        self._rows: dict[RowValue, Array] = {}
        self._numbers: dict[float, Array] = {}

    def _matrix(self, name: str) -> Array:
        matrix = self.plan.matrix[name]
        lone = matrix.lone
        if lone is not None and lone.use is not None:
            return self.plan.layout.view(self.parameters, lone.use.group)
        return np.zeros((matrix.rows, matrix.columns), self.dtype)

    def transposed(self, name: str) -> Array:
        """A matrix transposed in memory, for products inside the loop; filled by `pack_derived`."""
        if name not in self._transposed:
            self._transposed[name] = np.ascontiguousarray(self.matrices[name].T)
        return self._transposed[name]

    def holding(self, population: str) -> bool:
        """Whether some of the population's states are set inside the loop for batches of this shape."""
        return population in self.held

    def buffer(self, name: str) -> Array:
        """A whole buffer, its rows before step 1 and behind the last included; allocated at first use."""
        if name not in self._buffers:
            buffer = self.plan.buffer[name]
            rows = buffer.before + self.steps + buffer.after
            self._buffers[name] = np.zeros((rows, self.size, buffer.width), self.dtype)
        return self._buffers[name]

    def block(self, view: View, first: int, last: int) -> Array:
        """The view at steps first to last, counted from 1: shape (steps, batch, width)."""
        row = self.plan.buffer[view.buffer].before + view.shift - 1
        return self.buffer(view.buffer)[row + first : row + last + 1, :, view.start : view.stop]

    def whole(self, view: View) -> Array:
        """The view at all steps."""
        return self.block(view, 1, self.steps)

    def step(self, view: View, step: int) -> Array:
        """The view at one step: shape (batch, width)."""
        row = self.plan.buffer[view.buffer].before + view.shift - 1
        return self.buffer(view.buffer)[row + step, :, view.start : view.stop]

    def resolve(self, place: Place, shape: tuple[int, ...], view: Callable[[View], Array]) -> Array:
        """The memory behind an operand; `shape` is that of scratch without its columns, `view` binds views."""
        if isinstance(place, View):
            return view(place)
        if isinstance(place, Row):
            return self.vector[place.start : place.stop]
        if isinstance(place, Number):
            return self._numbers.setdefault(place.value, np.array(place.value, self.dtype))
        if isinstance(place, RowValue):
            return self._rows.setdefault(place, np.zeros(place.width, self.dtype))
        return self.scratch((*shape, place.width), place.index)

    def scratch(self, shape: tuple[int, ...], index: int = 0) -> Array:
        """Scratch memory of a shape; the same index gives the same memory."""
        key = (index, *shape)
        if key not in self._scratch:
            self._scratch[key] = np.zeros(shape, self.dtype)
        return self._scratch[key]

    def pack_derived(self) -> None:
        """Compute what follows from the packed weights alone: transposed matrices and values of rows."""
        for name, turned in self._transposed.items():
            turned[...] = self.matrices[name].T
        for value, array in self._rows.items():
            array[...] = evaluate_row(value.expression, self._row)

    def _row(self, row: Row) -> Array:
        return self.vector[row.start : row.stop]
