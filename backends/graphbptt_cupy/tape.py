"""One direction of a stage as calls: kernels launched, products by the array module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from graphbptt.codegen.arguments import (
    Argument,
    Held,
    Holds,
    NoiseKey,
    Padded,
    Rows,
    Summands,
    Vector,
)
from graphbptt.codegen.kernels import Kernel, KernelSweep, Reduction, Work
from graphbptt.ir.operations import Contract, Product
from graphbptt.ir.plan import Stage
from graphbptt_cupy.device import Launcher
from graphbptt_cupy.space import DeviceSpace

__all__ = ["DeviceTape"]

Call = Callable[[], object]

CALL_BYTES = 600
"""About what a call takes in memory, with its views."""


class DeviceTape:
    """One direction of a stage, ready to run: every view is made when it is bound, and nothing at run time."""

    def __init__(
        self, space: DeviceSpace, launcher: Launcher, stage: Stage, sweep: KernelSweep, backward: bool
    ) -> None:
        self._binder = _Binder(space, launcher)
        self._steps = space.steps
        self._calls = list(self._bind(stage, sweep, backward, space.host.stepwise))

    def run(self) -> None:
        for call in self._calls:
            call()

    def calls(self) -> Iterable[Call]:
        return self._calls

    def count_bytes(self) -> int:
        return CALL_BYTES * len(self._calls)

    def _bind(self, stage: Stage, sweep: KernelSweep, backward: bool, stepwise: bool) -> Iterator[Call]:
        """All calls, in order."""
        bind, steps = self._binder.bind, self._steps
        stretches = [(step, step) for step in range(1, steps + 1)] if stepwise else [(1, steps)]
        for work in sweep.before:
            for first, last in stretches:
                yield from bind(work, first, last)
        lag = max((phase for phase, _ in sweep.each), default=0)
        iterations = range(1, steps + lag + 1) if sweep.each else range(0)
        for iteration in reversed(iterations) if backward else iterations:
            for phase, work in sweep.each:
                step = iteration - phase
                if 1 <= step <= steps:
                    at = steps + 1 - step if stage.mode == "reverse" else step
                    yield from bind(work, at, at)
        for work in sweep.after:
            yield from bind(work, 1, steps)


class _Binder:
    """Binds work to steps `first` to `last`, counted from 1."""

    def __init__(self, space: DeviceSpace, launcher: Launcher) -> None:
        self.space = space
        self.launcher = launcher
        self.xp = space.device.xp

    def bind(self, work: Work, first: int, last: int) -> Iterator[Call]:
        match work:
            case Kernel():
                yield self._launch(work, first, last)
            case Reduction():
                yield from self._reduce(work, first, last)
            case Product():
                sparse = work.weights in self.space.entries
                yield from (self._multiply_entries if sparse else self._multiply)(work, first, last)
            case Contract():
                sparse = work.weights in self.space.entries
                yield (self._contract_entries if sparse else self._contract)(work, first, last)

    def _launch(self, kernel: Kernel, first: int, last: int, summands: Any = None) -> Call:
        size = self.space.size
        pointers = [summands if isinstance(item, Summands) else self._find(item) for item in kernel.arguments]
        threads = (last - first + 1) * size * kernel.columns
        return partial(self.launcher.launch, kernel.name, threads, (first - 1, size, *pointers))

    def _find(self, argument: Argument) -> Any:
        space = self.space
        match argument:
            case Rows(buffer):
                return space.from_first_step(buffer)
            case Held(population):
                return space.held.get(population)
            case Holds(population):
                return space.holds.get(population)
            case Padded():
                return space.padded
            case NoiseKey(population):
                return space.noise[population]
            case Vector():
                return space.vector
        raise AssertionError(f"{argument} belongs to no kernel")

    def _reduce(self, reduction: Reduction, first: int, last: int) -> Iterator[Call]:
        row, rows = reduction.row, (last - first + 1) * self.space.size
        summands = self.space.scratch(rows, row.width)
        yield self._launch(reduction.kernel, first, last, summands)
        yield partial(self.xp.sum, summands, axis=0, out=self.space.vector_gradient[row.start : row.stop])

    def _multiply(self, product: Product, first: int, last: int) -> Iterator[Call]:
        source, out = (self.space.rows(view, first, last) for view in (product.source, product.out))
        weights = self.space.matrices[product.weights]
        if product.transposed:
            weights = weights.T[:, : product.out.width]
        if not product.accumulate and out.flags.c_contiguous:
            yield partial(self.xp.matmul, source, weights, out=out)
            return
        result = self.space.scratch(*out.shape)
        yield partial(self.xp.matmul, source, weights, out=result)
        yield (
            partial(self.xp.add, out, result, out=out)
            if product.accumulate
            else partial(self.xp.copyto, out, result)
        )

    def _multiply_entries(self, product: Product, first: int, last: int) -> Iterator[Call]:
        source, out = (self.space.rows(view, first, last) for view in (product.source, product.out))
        entries = self.space.entries[product.weights]
        weights = (
            (entries.starts, entries.columns, entries.values)
            if product.transposed
            else (entries.column_starts, entries.column_rows, entries.column_values)
        )
        strides = (self._stride(view.buffer) for view in (product.source, product.out))
        source_stride, out_stride = strides
        arguments = (
            product.out.width, source, source_stride, *weights, out, out_stride, int(product.accumulate),
        )  # fmt: skip
        threads = (last - first + 1) * self.space.size * product.out.width
        yield partial(self.launcher.launch, "multiply_entries", threads, arguments)

    def _contract(self, contract: Contract, first: int, last: int) -> Call:
        source, delta = (self.space.rows(view, first, last) for view in (contract.source, contract.delta))
        return partial(self.xp.matmul, source.T, delta, out=self.space.matrix_gradients[contract.weights])

    def _contract_entries(self, contract: Contract, first: int, last: int) -> Call:
        views = (contract.source, contract.delta)
        source, delta = (self.space.rows(view, first, last) for view in views)
        source_stride, delta_stride = (self._stride(view.buffer) for view in views)
        entries = self.space.entries[contract.weights]
        rows = (last - first + 1) * self.space.size
        arguments = (
            rows, source, source_stride, delta, delta_stride, entries.rows, entries.columns, entries.gradient,
        )  # fmt: skip
        return partial(self.launcher.launch, "contract_entries", len(entries.order), arguments)

    def _stride(self, buffer: str) -> int:
        """How many numbers further the next row lies."""
        return int(self.space.buffer(buffer).shape[1])
