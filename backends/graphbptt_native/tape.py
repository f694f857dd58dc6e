"""Tapes that are single calls, but for derivatives of weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from graphbptt.codegen.entries import has_narrow_indices
from graphbptt.ir.operations import Contract, Operation
from graphbptt.ir.plan import SparseBlock, Sweep
from graphbptt_native.workspace import NativeWorkspace
from graphbptt_numpy.tape import Binder, Rows, Tape
from graphbptt_numpy.workspace import Workspace

__all__ = ["NativeTape"]

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
            pointers = self._space.addresses(self._scan.arguments)
            yield self._space.program.bind(
                self._scan, self._space.steps, self._space.size, self._block, pointers
            )
        yield from super()._calls()

    def _bind(self, space: Workspace, operation: Operation) -> Binder:
        if isinstance(operation, Contract) and operation.weights in space.blocks:
            block = space.plan.weights[operation.weights]
            if isinstance(block, SparseBlock) and has_narrow_indices(block):
                return partial(self._contract, operation)
        return super()._bind(space, operation)

    def _contract(self, operation: Contract, rows: Rows) -> Iterator[Call]:
        """The derivative by weights that are kept as entries, once per sequence."""
        assert isinstance(rows, tuple)
        space, views = self._space, (operation.source, operation.delta)
        source, delta = (space.select(view, space.time(view, *rows)) for view in views)
        block = space.blocks[operation.weights]
        yield space.program.bind_contraction(block, source, delta, space.turned)
