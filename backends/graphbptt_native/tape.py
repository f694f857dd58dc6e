"""Tapes that are single calls, but for derivatives of weights, which have functions of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.products.entries import has_narrow_indices
from graphbptt.codegen.products.sum_rows import is_plain_sum
from graphbptt.ir.operations import Contract, Operation, Reduce, View
from graphbptt.ir.plan import SparseBlock, Sweep
from graphbptt_native.contraction import is_worth_a_call
from graphbptt_native.workspace import NativeWorkspace
from graphbptt_numpy.tape import Binder, Rows, Tape
from graphbptt_numpy.workspace import Workspace

__all__ = ["NativeTape"]

Array = npt.NDArray[Any]
Call = Callable[[], object]


class NativeTape(Tape):
    """One direction of a stage: one call of its function in C, if it could be emitted, and what that leaves out."""

    _space: NativeWorkspace

    def __init__(self, space: Workspace, index: int, backward: bool) -> None:
        assert isinstance(space, NativeWorkspace)
        self._scan = space.program.scans.get((index, backward))
        super().__init__(space, index, backward)

    def _choose(self, sweep: Sweep) -> Sweep:
        sweep = super()._choose(sweep)
        if self._scan is None:
            return sweep
        done = set(self._scan.sweep.after)
        return Sweep(after=tuple(operation for operation in sweep.after if operation not in done))

    def _calls(self) -> Iterator[Call]:
        if self._scan is not None:
            space, scan = self._space, self._scan
            arrays = partial(space.find_arrays, scan.arguments)
            yield space.program.bind_scan(scan, space.steps, space.size, self._block, arrays)
        yield from super()._calls()

    def _bind(self, space: Workspace, operation: Operation) -> Binder:
        if isinstance(operation, Contract) and operation.weights in space.blocks:
            block = space.plan.weights[operation.weights]
            if isinstance(block, SparseBlock) and has_narrow_indices(block):
                return partial(self._contract_entries, operation)
        elif isinstance(operation, Contract):
            return partial(self._contract, operation)
        if is_plain_sum(operation):
            assert isinstance(operation, Reduce)
            return partial(self._sum, operation)
        return super()._bind(space, operation)

    def _contract(self, operation: Contract, rows: Rows) -> Iterator[Call]:
        """The derivative of a matrix, once per sequence."""
        space = self._space
        source, delta = (_flat(self._series(view, rows)) for view in (operation.source, operation.delta))
        (gradient,) = space.matrix_gradients[operation.weights]
        if not is_worth_a_call(len(source), *gradient.shape):
            yield from super()._bind(space, operation)(rows)
            return
        yield from space.program.bind_matrix_contraction(source, delta, gradient, space.room)

    def _sum(self, operation: Reduce, rows: Rows) -> Iterator[Call]:
        (view,) = operation.reads()
        out = self._space.vector_gradient[operation.row.start : operation.row.stop]
        yield self._space.program.bind_sum(_flat(self._series(view, rows)), out)

    def _series(self, view: View, rows: Rows) -> Array:
        """Columns of a buffer at some steps, (steps, batch, width)."""
        assert isinstance(rows, tuple)
        return self._space.select(view, self._space.time(view, *rows))

    def _contract_entries(self, operation: Contract, rows: Rows) -> Iterator[Call]:
        """The derivative by weights that are kept as entries, once per sequence."""
        space = self._space
        source, delta = (self._series(view, rows) for view in (operation.source, operation.delta))
        block = space.blocks[operation.weights]
        yield space.program.bind_entry_contraction(block, source, delta, space.room)


def _flat(series: Array) -> Array:
    """(steps, batch, unit) as (rows, unit): always a view, for a call keeps its address."""
    flat = series.reshape(-1, series.shape[-1])
    assert not flat.size or np.may_share_memory(flat, series)
    return flat
