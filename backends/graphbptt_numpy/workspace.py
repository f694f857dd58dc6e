"""Memory for one shape of batch: every buffer of a plan, allocated once, and views into it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Number
from graphbptt.ir.indices import IndexMap
from graphbptt.ir.lifetimes import find_passing, find_same
from graphbptt.ir.noise import Noise, draw_noise
from graphbptt.ir.operations import Row, View
from graphbptt.ir.parameters import Use
from graphbptt.ir.plan import Matrix, Plan
from graphbptt_numpy.index_maps import bind_gathering
from graphbptt_numpy.pointwise import Place, RowValue, evaluate_row
from graphbptt_numpy.sparse import place_block

__all__ = ["Workspace"]

Array = npt.NDArray[Any]

CACHE_LINE = 64

NARROW = 48
"""The width below which populations share columns rather than have lanes of their own."""

BLOCK_BYTES = 128 * 1024
"""The bytes of one population's rows in a block of steps: with the ten or so like it they fit a level-two cache."""

SMALL = 1024
"""Up to this size a number is repeated to the size of the result: broadcasting costs as much as a small call."""


class Workspace:
    """The buffers of a plan for `steps` steps and `size` examples, and the packed weights.

    A buffer has axes (lane, time, batch, unit). `padded` (steps, batch) marks the steps behind the sequences' ends;
    None where all sequences are full. `initial` holds every population's initial rows, (history, batch, units), and
    `overwritten` says whether the last batch brought its own. For populations some of whose states are set, `held`
    marks them and `holds` has their values. `noise` has the standard normal numbers of those that need some. `bytes`
    is what was allocated so far.

    With `stepwise`, work on whole sequences goes a step at a time. The products of linear algebra libraries round a row
    differently among other numbers of rows; so its results do not depend on the number of steps.
    """

    def __init__(
        self, plan: Plan, steps: int, size: int, ragged: bool, dtype: np.dtype[Any], stepwise: bool = False
    ) -> None:
        self.bytes = 0
        self.plan = plan
        self.steps = steps
        self.size = size
        self.dtype = dtype
        self.parameters = self.exchange(plan.layout.size)
        self.vector = self.allocate(plan.vector_width)
        self.vector_gradient = self.allocate(plan.vector_width)
        self.matrices = {matrix.name: self._matrix(matrix) for matrix in plan.matrices}
        self.matrix_gradients = {matrix.name: self._matrix(matrix) for matrix in plan.matrices}
        self.blocks = {block.name: place_block(block, self.allocate) for block in plan.blocks}
        self.initial_gradients = {
            site.population: self.allocate(plan.network.population[site.population].history, site.delta.width)
            for site in plan.initials
        }
        self.overwritten = False
        self._place_data(ragged)
        self._same = find_same(plan)
        self._passing = find_passing(plan)
        self._block_lengths = [
            1 if stepwise else max(1, BLOCK_BYTES // max(1, size * width * dtype.itemsize))
            for width in _widest(plan)
        ]
        self._gathered: dict[tuple[str, IndexMap], Array] = {}
        self._transposed: dict[str, Array] = {}
        self._buffers: dict[str, Array] = {}
        self._scratch: dict[tuple[int, ...], Array] = {}
        self._rows: dict[RowValue, Array] = {}
        self._numbers: dict[tuple[float, tuple[int, ...]], Array] = {}

    def _place_data(self, ragged: bool) -> None:
        """Memory for what batches bring, and for what is derived from them."""
        plan, steps, size = self.plan, self.steps, self.size
        self.gradient = self.allocate(plan.layout.free)
        self.padded = self.allocate(steps, size, dtype=bool) if ragged else None
        self.initial = {p.name: self.allocate(p.history, size, p.units) for p in plan.network.populations}
        clamped = {clamp.node for clamp in plan.network.clamps if clamp.at != "start"}
        held = [p for p in plan.placements if p.restrained and (ragged or p.population in clamped)]
        self.held = {p.population: self.allocate(steps, size, p.state.width, dtype=bool) for p in held}
        self.holds = {p.population: self.allocate(steps, size, p.state.width) for p in held}
        self.noise = {p.name: self.allocate(steps, size, p.units) for p in plan.network.noisy}

    def allocate(self, *shape: int, dtype: npt.DTypeLike | None = None) -> Array:
        """Zeros that start on a cache line, which matrix products of small matrices prefer."""
        kind = self.dtype if dtype is None else np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        raw = np.zeros(size + CACHE_LINE, np.uint8)
        self.bytes += raw.nbytes
        start = -raw.ctypes.data % CACHE_LINE
        return raw[start : start + size].view(kind).reshape(shape)

    def exchange(self, *shape: int, dtype: npt.DTypeLike | None = None) -> Array:
        """Zeros for parameters and states, which travel where another device computes."""
        return self.allocate(*shape, dtype=dtype)

    def _matrix(self, matrix: Matrix) -> Array:
        """Memory for packed weights: (lanes, rows, columns), as many lanes as the net inputs they lead to."""
        width = self.plan.buffer[matrix.net].width // self.lanes(matrix.net)
        lanes = 1 if self.lanes(matrix.net) == 1 else matrix.columns // width
        return self.allocate(lanes, matrix.rows, matrix.columns // lanes)

    def copy_of(self, use: Use) -> Array:
        """One use's copy of its parameter before the scale: a view P or P.T, or what `gathering` fills."""
        parameter = self.plan.layout.view(self.parameters, use.group)
        if use.index is None:
            return parameter.T if use.transpose else parameter
        key = use.group, use.index
        if key not in self._gathered:
            self._gathered[key] = self.allocate(*use.index.shape)
        return self._gathered[key]

    def gathering(self) -> Iterator[Callable[[], object]]:
        """The calls that read parameters through index maps, all uses of a network included."""
        for _, use in self.plan.network.uses():
            self.copy_of(use)
        for (group, index), copy in self._gathered.items():
            parameter = self.plan.layout.view(self.parameters, group)
            yield from bind_gathering(parameter.ravel(), index, copy)

    def transposed(self, name: str, columns: int) -> Array:
        """The first columns of a transposed matrix, (lanes, net inputs, columns); filled by `pack_derived`."""
        if name not in self._transposed:
            lanes, _, width = self.matrices[name].shape
            self._transposed[name] = self.allocate(lanes, width, columns)
            self._turn(name)
        return self._transposed[name]

    def pack_derived(self) -> None:
        """Compute what follows from the packed weights alone: transposed matrices and values of rows.

        What is bound later, in the middle of a run, is computed at once.
        """
        for name in self._transposed:
            self._turn(name)
        for value in self._rows:
            self._evaluate(value)

    def _turn(self, name: str) -> None:
        turned = self._transposed[name]
        np.copyto(turned, self.matrices[name].swapaxes(1, 2)[:, :, : turned.shape[2]])

    def _evaluate(self, value: RowValue) -> None:
        with np.errstate(all="ignore"):  # before a vector is packed, all of it is zero
            self._rows[value][...] = evaluate_row(
                value.expression, lambda row: self.vector[row.start : row.stop]
            )

    def draw_noise(self, noise: Noise, population: str, first: int) -> None:
        """Draw a population's noise, from step `first` of the sequences on."""
        out = self.noise[population]
        steps, (size, units) = range(first, first + self.steps), out.shape[1:]
        out[...] = draw_noise(noise, population, steps, size, units, self.dtype)

    def holding(self, population: str) -> bool:
        """Whether some of the population's states are set for batches of this shape."""
        return population in self.held

    def keeps(self, net: View) -> bool:
        """Whether a net input is kept in memory of its own for the whole sequence."""
        return net.buffer not in self._same and net.buffer not in self._passing

    # Views.

    def buffer(self, name: str) -> Array:
        """A whole buffer, its rows before step 1 and behind the last included; allocated at first use."""
        if name not in self._buffers and name in self._same:
            state = self.plan.buffer[self._same[name]]
            self._buffers[name] = self.buffer(state.name)[:, state.before : state.before + self.steps]
        elif name not in self._buffers:
            buffer = self.plan.buffer[name]
            steps = self.block_length(self._passing[name]) if name in self._passing else self.steps
            rows, lanes = buffer.before + min(steps, self.steps) + buffer.after, self.lanes(name)
            self._buffers[name] = self.exchange(lanes, rows, self.size, buffer.width // lanes)
        return self._buffers[name]

    def lanes(self, name: str) -> int:
        """The lanes of a buffer in memory: none for a single example, whose columns are contiguous as they are, or
        where they would be so narrow that products by lane are slower than one for all."""
        buffer = self.plan.buffer[name]
        return 1 if self.size == 1 or buffer.lane_width < NARROW else buffer.lanes

    def rows(self, view: View) -> Array:
        """A view of one population at all rows, those around the steps included: (rows, batch, width)."""
        return self.select(view, slice(None))

    def whole(self, view: View) -> Array:
        """A view of one population, or of neighbours in one lane, at all steps: (steps, batch, width)."""
        return self.select(view, self.time(view, 1, self.steps))

    def time(self, view: View, first: int, last: int) -> slice:
        """The rows of a view's buffer at steps first to last, counted from 1 and shifted as the view says."""
        row = self.plan.buffer[view.buffer].before + view.shift - 1
        if view.buffer in self._passing:
            length = self.block_length(self._passing[view.buffer])
            row -= (first - 1) // length * length
        return slice(row + first, row + last + 1)

    def block_length(self, stage: int) -> int:
        """How many steps of a stage make a block of work on whole sequences."""
        return self._block_lengths[stage]

    def select(self, view: View, rows: slice | int, lanes: int = 1) -> Array:
        """Columns of a buffer at some rows: (..., batch, width), or (lanes, ..., batch, width / lanes)."""
        array = self.buffer(view.buffer)
        if len(array) == 1:
            return _split(array[0, rows, :, view.start : view.stop], lanes)
        first, last = view.start // array.shape[-1], view.stop // array.shape[-1]
        return array[first, rows] if last == first + 1 else array[first:last, rows]

    def resolve(self, place: Place, rows: tuple[int, int] | int, lanes: int, width: int) -> Array:
        """The memory of an operand at steps (first, last), or at one step, for a result of `width` columns.

        An operand as wide as the result comes in as many lanes as it; a narrower one is the same in each.
        """
        if isinstance(place, Number):
            return self._number(
                place.value, (self.size, width) if lanes == 1 and isinstance(rows, int) else ()
            )
        split = lanes if place.width == width else 1
        if isinstance(place, View):
            time = self.time(place, *rows) if isinstance(rows, tuple) else self.time(place, rows, rows).start
            return self.select(place, time, split)
        if isinstance(place, Row | RowValue):
            flat = self._row(place)
            return flat if split == 1 else flat.reshape(lanes, *(1,) * (1 + isinstance(rows, tuple)), -1)
        steps = (rows[1] - rows[0] + 1,) if isinstance(rows, tuple) else ()
        shape = (*steps, self.size, place.width // split)
        return self.scratch(shape if split == 1 else (lanes, *shape), place.index)

    def _number(self, value: float, shape: tuple[int, ...]) -> Array:
        key = (value, shape if math.prod(shape) <= SMALL else ())
        if key not in self._numbers:
            self._numbers[key] = self.allocate(*key[1])
            self._numbers[key][...] = value
        return self._numbers[key]

    def _row(self, place: Row | RowValue) -> Array:
        if isinstance(place, Row):
            return self.vector[place.start : place.stop]
        if place not in self._rows:
            self._rows[place] = self.allocate(place.width)
            self._evaluate(place)
        return self._rows[place]

    def count_lanes(self, width: int, places: Iterable[View | Row]) -> int:
        """In how many lanes operands for a result of `width` columns are worked on: as they lie in memory, or as often
        as narrow ones are repeated."""
        lanes = 1
        for place in places:
            if place.width < width:
                lanes = max(lanes, width // place.width)
            elif isinstance(place, View) and self.lanes(place.buffer) > 1:
                lanes = max(lanes, width // self.plan.buffer[place.buffer].lane_width)
        return lanes

    def scratch(self, shape: tuple[int, ...], index: int = 0) -> Array:
        """Scratch memory of a shape; the same index gives the same memory."""
        key = (index, *shape)
        if key not in self._scratch:
            self._scratch[key] = self.allocate(*shape)
        return self._scratch[key]


def _widest(plan: Plan) -> list[int]:
    """The units of the largest population of each stage."""
    widths = [1] * len(plan.stages)
    for placement in plan.placements:
        widths[placement.stage] = max(widths[placement.stage], placement.state.width)
    return widths


def _split(array: Array, lanes: int) -> Array:
    """(..., width) as (lanes, ..., width / lanes), a view."""
    if lanes == 1:
        return array
    return np.moveaxis(array.reshape(*array.shape[:-1], lanes, -1), -2, 0)
