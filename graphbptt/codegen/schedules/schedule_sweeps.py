"""The sweeps of a plan as launches and products, step by step, on the arrays of one shape of batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isqrt

from graphbptt.codegen.arguments import (
    Argument,
    Held,
    Holds,
    Lengths,
    NoiseKey,
    Padded,
    Rows,
    Starts,
    Summands,
    Vector,
    Weights,
)
from graphbptt.codegen.kernels.copy_maps import VECTOR
from graphbptt.codegen.kernels.write_kernels import Kernel, Kernels, KernelSweep, Reduction, Work
from graphbptt.codegen.launches.assemble_launches import Part
from graphbptt.codegen.launches.commands import Command, Launch, Multiply
from graphbptt.codegen.launches.device_arrays import Address, DeviceArray, Region
from graphbptt.codegen.launches.join_products import join_products
from graphbptt.codegen.launches.launch_kernel import launch
from graphbptt.codegen.launches.launch_plan import Section
from graphbptt.codegen.persistent.write_persistent import PersistentKernel
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.schedules.entry_launches import EntryParts, contract_entries, multiply_entries
from graphbptt.codegen.schedules.fixed_launches import clear_padding, fill_padding, sum_rows
from graphbptt.codegen.schedules.join_views import join_rows, join_views
from graphbptt.codegen.schedules.persistent_launch import launch_persistent
from graphbptt.codegen.schedules.place_arrays import Places
from graphbptt.codegen.schedules.place_starts import INITIAL
from graphbptt.ir.operations import Contract, Product, Row, View
from graphbptt.ir.plan import Plan, SparseBlock, Stage

__all__ = ["schedule_sweeps"]

SUMMANDS, SUMS = "summands", "sums"
"""Scratch: what is to be added up, and the sums of its parts."""


def schedule_sweeps(
    plan: Plan,
    kernels: Kernels,
    precision: Precision,
    places: Places,
    persistent: Mapping[tuple[int, bool], PersistentKernel],
) -> Part:
    """The states of all steps, stage by stage, and their derivatives, the last stage first.

    Where there is a `persistent` kernel for a loop over steps, by the index of its stage and whether it runs backward,
    it takes the place of that.
    """
    scheduler = _SweepScheduler(plan, places, kernels.lanes)
    forward = tuple(_list_forward(scheduler, kernels, persistent))
    backward = tuple(_list_backward(scheduler, kernels, persistent))
    scratch = tuple(
        DeviceArray(name, "scratch", (size,), precision.name) for name, size in scheduler.scratch.items()
    )
    # Step by step bits are those of a single step, whose products may have other neighbours: neither are joined.
    if places.shape.steps > 1 and not places.shape.stepwise:
        forward, backward = join_products(forward), join_products(backward)
    return Part(scratch, (Section("forward", forward), Section("backward", backward)))


def _list_forward(
    scheduler: _SweepScheduler, kernels: Kernels, persistent: Mapping[tuple[int, bool], PersistentKernel]
) -> Iterator[Command]:
    for index, stage in enumerate(scheduler.plan.stages):
        which = index, False
        yield from scheduler.schedule(stage, kernels.sweeps[which], False, persistent.get(which))
        yield from scheduler.pad(stage)


def _list_backward(
    scheduler: _SweepScheduler, kernels: Kernels, persistent: Mapping[tuple[int, bool], PersistentKernel]
) -> Iterator[Command]:
    for index, stage in reversed(list(enumerate(scheduler.plan.stages))):
        which = index, True
        yield from scheduler.clear_kept(stage)
        yield from scheduler.schedule(stage, kernels.sweeps[which], True, persistent.get(which))


class _SweepScheduler:
    """Turns work into commands; `scratch` is how much of it was asked for so far."""

    def __init__(self, plan: Plan, places: Places, lanes: int) -> None:
        self.plan, self.places, self.shape, self.lanes = plan, places, places.shape, lanes
        self.scratch: dict[str, int] = {}

    def schedule(
        self, stage: Stage, sweep: KernelSweep, backward: bool, persistent: PersistentKernel | None
    ) -> Iterator[Command]:
        """All commands of one direction of a stage, in order."""
        steps = self.shape.steps
        stretches = [(step, step) for step in range(1, steps + 1)] if self.shape.stepwise else [(1, steps)]
        for work in sweep.before:
            for first, last in stretches:
                yield from self._do(work, first, last)
        loop = self._iterate(stage, sweep, backward)
        if persistent is None:
            yield from loop
        else:
            pointers = {name: self._find(argument) for name, argument in persistent.arguments}
            yield launch_persistent(persistent, pointers, loop, self.places)
        for work in sweep.after:
            yield from self._do(work, 1, steps)

    def _iterate(self, stage: Stage, sweep: KernelSweep, backward: bool) -> Iterator[Command]:
        """The loop over steps."""
        steps = self.shape.steps
        lag = max((phase for phase, _ in sweep.each), default=0)
        iterations = range(1, steps + lag + 1) if sweep.each else range(0)
        for iteration in reversed(iterations) if backward else iterations:
            for phase, work in sweep.each:
                step = iteration - phase
                if 1 <= step <= steps:
                    at = steps + 1 - step if stage.mode == "reverse" else step
                    yield from self._do(work, at, at)

    def pad(self, stage: Stage) -> Iterator[Command]:
        """Put the initial state in place of what was computed behind the sequences' ends."""
        if not self.shape.ragged:
            return
        placements = [self.plan.placement[name] for name in stage.populations]
        for buffer in dict.fromkeys(placement.state.buffer for placement in placements):
            yield fill_padding(self.places, buffer, self.places.steps(self.places.columns(buffer)), first=0)
        nets = (item.net for item in placements if item.net is not None)
        yield from self._clear_padding(net for net in nets if self.places.home(net.buffer) == net.buffer)

    def clear_kept(self, stage: Stage) -> Iterator[Command]:
        """Zero what derivatives will be multiplied by behind the sequences' ends: they are zero, yet not times
        infinity. Columns that nothing keeps anything in stay as they are."""
        operations = stage.forward.operations() if self.shape.ragged else ()
        views = (write.view for operation in operations for write in operation.writes())
        yield from self._clear_padding(
            view for view in views if self.plan.buffer[view.buffer].kind == "saved"
        )

    def _clear_padding(self, views: Iterable[View]) -> Iterator[Launch]:
        for view in join_views(views):
            yield clear_padding(self.places, self.places.steps(view))

    def _do(self, work: Work, first: int, last: int) -> Iterator[Command]:
        match work:
            case Kernel():
                yield self._launch(work, first, last)
            case Reduction():
                yield from self._reduce(work, first, last)
            case Product():
                sparse = isinstance(self.plan.weights[work.weights], SparseBlock)
                if sparse:
                    yield from self._multiply_entries(work, first, last)
                else:
                    yield self._multiply(work, first, last)
            case Contract():
                sparse = isinstance(self.plan.weights[work.weights], SparseBlock)
                if sparse:
                    yield from self._contract_entries(work, first, last)
                else:
                    yield self._contract(work, first, last)

    def _launch(self, kernel: Kernel, first: int, last: int, summands: Region | None = None) -> Launch:
        rows = (last - first + 1) * self.shape.size
        reads, writes = (
            tuple(self.places.rows(view, first, last) for view in views)
            for views in (kernel.reads, kernel.writes)
        )
        pointers = {name: self._find(argument) for name, argument in kernel.arguments}
        beside = [
            self.places.whole(value.array)
            for name, argument in kernel.arguments
            if (value := pointers[name]) is not None and not isinstance(argument, Rows | Summands)
        ]
        return launch(
            kernel.signature,
            rows * kernel.columns,
            reads=(*reads, *beside),
            writes=(*writes, summands),
            step=first - 1,
            size=self.shape.size,
            **pointers,
        )

    def _find(self, argument: Argument) -> Address | None:
        match argument:
            case Rows(buffer):
                return self.places.first_step(buffer)
            case Held(population):
                return self._address(f"held:{population}")
            case Holds(population):
                return self._address(f"holds:{population}")
            case Padded():
                return Address("padded") if self.shape.ragged else None
            case Lengths():
                return Address("lengths") if self.shape.ragged else None
            case Starts():
                return Address(INITIAL) if self.shape.ragged else None
            case NoiseKey(population):
                return Address(f"noise:{population}")
            case Vector():
                return self.places.copy(VECTOR).address
            case Weights(matrix):
                return self.places.copy(matrix).address
            case Summands():
                return Address(SUMMANDS)
        raise AssertionError(f"{argument} belongs to no kernel")

    def _address(self, name: str) -> Address | None:
        """What there is only for some shapes of batches."""
        return Address(name) if name in self.places.arrays else None

    def _reduce(self, reduction: Reduction, first: int, last: int) -> Iterator[Command]:
        """Sums over rows, which the kernel writes or the plan's buffers hold."""
        source = reduction.source
        if isinstance(source, View):
            summands = self.places.rows(source, first, last)
        else:
            rows = (last - first + 1) * self.shape.size
            summands = self._claim(SUMMANDS, rows, source.columns)
            yield self._launch(source, first, last, summands)
        yield from self._sum(summands, reduction.rows)

    def _sum(self, source: Region, rows: Sequence[Row]) -> Iterator[Command]:
        """In two passes where there are many summands: as many sums as each of them has. What goes to neighbouring
        parts of the vector is one launch."""
        parts = isqrt(source.rows - 1) + 1
        if parts > 2:
            sums = self._claim(SUMS, parts, source.columns)
            yield sum_rows(source, sums)
            source = sums
        for row in join_rows(rows):
            yield sum_rows(replace(source, columns=row.width), self.places.vector(row, derivative=True))
            source = source.move(row.width)

    def _claim(self, name: str, rows: int, columns: int) -> Region:
        """Scratch, the same for all that need it one after the other."""
        self.scratch[name] = max(self.scratch.get(name, 0), rows * columns)
        return Region(name, 0, rows, columns, columns)

    def _multiply(self, product: Product, first: int, last: int) -> Multiply:
        source, out = (self.places.rows(view, first, last) for view in (product.source, product.out))
        weights = self.places.copy(product.weights)
        if product.transposed:  # of which only as many columns are needed as `out` has
            weights = replace(weights, rows=out.columns)
        return Multiply(out, source, weights, transpose_b=product.transposed, accumulate=product.accumulate)

    def _contract(self, contract: Contract, first: int, last: int) -> Multiply:
        source, delta = (self.places.rows(view, first, last) for view in (contract.source, contract.delta))
        gradient = self.places.copy(contract.weights, derivative=True)
        return Multiply(gradient, source, delta, transpose_a=True)

    def _multiply_entries(self, product: Product, first: int, last: int) -> Iterator[Launch]:
        source, out = (self.places.rows(view, first, last) for view in (product.source, product.out))
        parts = ("column_starts", "column_rows", "column_values")
        if product.transposed:
            parts = ("starts", "columns", "values")
        weights = EntryParts(*(self.places.entries(product.weights, part) for part in parts))
        return multiply_entries(self._claim, source, weights, out, product.accumulate)

    def _contract_entries(self, contract: Contract, first: int, last: int) -> Iterator[Launch]:
        source, delta = (self.places.rows(view, first, last) for view in (contract.source, contract.delta))
        rows, columns = (self.places.entries(contract.weights, part) for part in ("rows", "columns"))
        out = self.places.copy(contract.weights, derivative=True)
        return contract_entries(self._claim, source, delta, rows, columns, out, self.lanes)
