"""Memory of a device for one shape of batch: an array for all that a plan computes or is given, and views as its parts.

Buffers have axes (step and example, unit): row ``(before + t) * size + b`` is that of example b at step t + 1. All
packed copies of parameters lie in one array, and the derivatives by them in another one. Weights that are kept as
entries lie there by row, and by column in an array of their own. What populations start from lies in one array, a row
for each example, in which the initial rows of a population follow each other. A name with a colon belongs to a
population, a buffer or weights, as ``given:x``, or to a term of the loss, as ``wanted:0``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from graphbptt.codegen.kernels.copy_maps import VECTOR, CopyMaps
from graphbptt.codegen.kernels.sums import MOST_SUMS
from graphbptt.codegen.launches.device_arrays import Address, ArrayKind, DeviceArray, Region
from graphbptt.codegen.launches.launch_plan import LaunchShape
from graphbptt.codegen.lay_starts import lay_starts
from graphbptt.codegen.lookup import find_clamped
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.schedules.join_views import join_views
from graphbptt.codegen.schedules.place_starts import INITIAL, place_starts, place_table
from graphbptt.ir.lifetimes import find_same
from graphbptt.ir.losses import resolve_loss
from graphbptt.ir.operations import Row, View
from graphbptt.ir.penalties import StatePenalty
from graphbptt.ir.plan import Clear, Plan, SparseBlock

__all__ = [
    "ARRIVED",
    "COPIES",
    "COUNTS",
    "DERIVATIVES",
    "LOSSES",
    "NOISE_WORDS",
    "PARTIAL",
    "Places",
    "find_given",
    "place_arrays",
]

COPIES, DERIVATIVES = "copies", "dcopies"
"""All packed copies of parameters, and the derivatives by them."""

COUNTS, LOSSES = "counts", "losses"
"""The sum of the weights of each term of the loss, and its mean."""

PARTIAL = DeviceArray("partial", "scratch", (MOST_SUMS,), "float64")
ARRIVED = DeviceArray("arrived", "kept", (1,), "uint32", np.zeros(1, np.uint32))
"""What sums are made with."""

NOISE_WORDS = 5
"""A key of two words, how many examples and steps come before, and whether there is noise at all."""


class Places:
    """Where the views of a plan lie."""

    def __init__(self, plan: Plan, copies: CopyMaps, precision: Precision, shape: LaunchShape) -> None:
        self.plan, self.copies, self.shape = plan, copies, shape
        self.arrays = {array.name: array for array in place_arrays(plan, copies, precision, shape)}
        self._same = find_same(plan)
        self._starts = lay_starts(plan.network)

    def initial(self, population: str, array: str = INITIAL) -> Region:
        """What a population starts from, or is given to."""
        columns, whole = self._starts[population], self.whole(array)
        return replace(whole, offset=columns.start, columns=columns.stop - columns.start)

    def columns_of(self, buffer: str, rows: Region) -> Iterator[Region]:
        """The columns of all populations in a buffer, of some rows of it: rectangles, as few as there are."""
        for view in join_views(resident.state for resident in self.plan.residents[buffer]):
            yield replace(rows, offset=rows.offset + view.start, columns=view.width)

    def columns(self, buffer: str) -> View:
        """All columns of a buffer."""
        return View(buffer, 0, self.plan.buffer[buffer].width)

    def whole(self, array: str) -> Region:
        """All of an array."""
        return self.arrays[array].whole()

    def copy(self, name: str, derivative: bool = False) -> Region:
        """A block of packed copies, row by row, or the derivatives by them."""
        block = self.copies.block[name]
        width = block.shape[-1]
        rows = block.size // width if width else 0
        return Region(DERIVATIVES if derivative else COPIES, block.offset, rows, width, width)

    def entries(self, block: str, part: str) -> Region:
        """One of the arrays of weights that are kept as entries."""
        return self.copy(block) if part == "values" else self.whole(f"{block}:{part}")

    def home(self, buffer: str) -> str:
        """The buffer in whose memory another one lies: net inputs that states are a copy of are theirs."""
        return self._same.get(buffer, buffer)

    def stride(self, buffer: str) -> int:
        """How many numbers further the next row lies."""
        return self.plan.buffer[self.home(buffer)].width

    def first_step(self, buffer: str) -> Address:
        """A buffer's step 1."""
        home = self.plan.buffer[self.home(buffer)]
        return Address(home.name, home.before * self.shape.size * home.width)

    def rows(self, view: View, first: int, last: int) -> Region:
        """A view at steps `first` to `last`, counted from 1."""
        home = self.plan.buffer[self.home(view.buffer)]
        begin = (home.before + view.shift + first - 1) * self.shape.size
        count = (last - first + 1) * self.shape.size
        return Region(home.name, begin * home.width + view.start, count, view.width, home.width)

    def steps(self, view: View) -> Region:
        """A view at all steps."""
        return self.rows(view, 1, self.shape.steps)

    def before(self, view: View) -> Region:
        """The columns of a view in the rows before step 1."""
        return self._outside(view, 0, self.plan.buffer[view.buffer].before)

    def behind(self, view: View) -> Region:
        """The columns of a view in the rows behind the last step."""
        buffer = self.plan.buffer[view.buffer]
        return self._outside(view, buffer.before + self.shape.steps, buffer.after)

    def _outside(self, view: View, row: int, count: int) -> Region:
        width, size = self.plan.buffer[view.buffer].width, self.shape.size
        return Region(view.buffer, row * size * width + view.start, count * size, view.width, width)

    def vector(self, row: Row, derivative: bool = False) -> Region:
        """A part of the packed vector, or of its derivative."""
        whole = self.copy(VECTOR, derivative)
        return Region(whole.array, whole.offset + row.start, 1, row.width, row.width)

    def cleared(self) -> Iterator[Region]:
        """What of the deltas starts at zero: the rows around the steps, and what the plan lists."""
        for buffer in self.plan.buffers:
            if buffer.kind == "delta":
                view = self.columns(buffer.name)
                yield from (self.before(view), self.behind(view))
        for rows in dict.fromkeys(item.rows for item in self.plan.clear):
            views = join_views(item.view for item in self.plan.clear if item.rows == rows)
            yield from (self._steps_to_clear(Clear(view, rows)) for view in views)

    def _steps_to_clear(self, item: Clear) -> Region:
        steps = self.shape.steps
        first = max(1, steps + item.rows + 1) if item.rows < 0 else 1
        last = min(steps, item.rows) if item.rows > 0 else steps
        return self.rows(item.view, first, last)


def place_arrays(
    plan: Plan, copies: CopyMaps, precision: Precision, shape: LaunchShape
) -> Iterator[DeviceArray]:
    """All arrays that sweeps work on."""

    def numbers(name: str, kind: ArrayKind, *sizes: int) -> DeviceArray:
        return DeviceArray(name, kind, sizes, precision.name)

    yield numbers(COPIES, "weight", copies.size)
    yield numbers(DERIVATIVES, "derivative", copies.size)
    for block in plan.blocks:
        yield numbers(f"{block.name}:column_values", "weight", block.pattern.size)
        yield from _place_indices(block)
    same = find_same(plan)
    for buffer in plan.buffers:
        if buffer.name not in same:
            rows = (buffer.before + shape.steps + buffer.after) * shape.size
            yield numbers(buffer.name, "buffer", rows, buffer.width)
    yield from place_starts(plan, copies, precision, shape)
    yield from _place_targets(plan, precision, shape)
    for name in _find_held(plan):
        sizes = (shape.steps, shape.size, plan.placement[name].state.width)
        yield DeviceArray(f"held:{name}", "field", sizes, "bool")
        yield numbers(f"holds:{name}", "field", *sizes)
        yield place_table(f"holds:{name}", plan.network, [(name, 0)])
    for name in find_given(plan):
        yield numbers(f"given:{name}", "field", shape.steps, shape.size, plan.placement[name].state.width)
    for population in plan.network.noisy:
        yield DeviceArray(f"noise:{population.name}", "field", (NOISE_WORDS,), "uint64")
    if shape.ragged:
        yield DeviceArray("padded", "field", (shape.steps, shape.size), "bool")
        yield DeviceArray("lengths", "field", (shape.size,), "int64")


def find_given(plan: Plan) -> list[str]:
    """The populations whose states are data."""
    return [name for stage in plan.stages if stage.mode == "given" for name in stage.populations]


def _place_targets(plan: Plan, precision: Precision, shape: LaunchShape) -> Iterator[DeviceArray]:
    """What the terms of the loss are measured by, and what they are; derivatives by parameters."""
    for site in plan.losses:
        term = plan.network.terms[site.term]
        rule, _ = resolve_loss(plan.network, term)
        number, width = site.term, site.predicted.width if term.units is None else len(term.units)
        sizes = (shape.steps, shape.size)
        yield DeviceArray(f"weights:{number}", "field", sizes, precision.name)
        if rule.labels:
            yield DeviceArray(f"wanted:{number}", "field", sizes, "int64")
        elif not isinstance(term, StatePenalty):
            yield DeviceArray(f"wanted:{number}", "field", (*sizes, width), precision.name)
        if term.units is not None:
            columns = np.array(term.units, np.int32)
            yield DeviceArray(f"columns:{number}", "constant", columns.shape, "int32", columns)
    terms = len(plan.network.terms)
    yield DeviceArray(COUNTS, "field", (terms,), "float64")
    yield DeviceArray(LOSSES, "loss", (terms,), "float64")
    yield PARTIAL
    yield ARRIVED
    yield DeviceArray("parameters", "parameter", (plan.layout.size,), precision.name)
    yield DeviceArray("gradient", "gradient", (plan.layout.free,), precision.name)
    if any(group.trainable and group.combine == "mean" for group in plan.network.groups):
        yield DeviceArray("divisors", "field", (plan.layout.free,), precision.name)


def _place_indices(block: SparseBlock) -> Iterator[DeviceArray]:
    """Where entries lie, by row and by column; `order` is that of the columns."""
    rows, columns = block.pattern.rows, block.pattern.columns
    order = np.argsort(columns, kind="stable")
    indices = {
        "starts": block.starts(),
        "rows": rows,
        "columns": columns,
        "column_starts": np.searchsorted(columns[order], np.arange(block.columns + 1)),
        "column_rows": rows[order],
        "order": order,
    }
    for part, values in indices.items():
        yield DeviceArray(f"{block.name}:{part}", "constant", values.shape, "int32", values.astype(np.int32))


def _find_held(plan: Plan) -> list[str]:
    """The populations some of whose states clamps set inside a loop."""
    clamped = find_clamped(plan.network)
    return [item.population for item in plan.placements if item.restrained and item.population in clamped]
