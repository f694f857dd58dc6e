"""Tapes whose loops over time are single calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from graphbptt.codegen.entries import has_narrow_indices
from graphbptt.ir.operations import Contract, Operation
from graphbptt.ir.plan import SparseBlock
from graphbptt_native.workspace import NativeWorkspace
from graphbptt_numpy.tape import Binder, Rows, Tape
from graphbptt_numpy.workspace import Workspace

__all__ = ["NativeTape"]

Call = Callable[[], object]


class NativeTape(Tape):
    """One direction of a stage: its loop in C, if it could be emitted; other loops and what is around them in NumPy."""

    def __init__(self, space: Workspace, index: int, backward: bool) -> None:
        assert isinstance(space, NativeWorkspace)
        self._space = space
        self._scan = space.program.scans.get((index, backward))
        super().__init__(space, index, backward)

    def _outside(self, before: list[Operation]) -> list[Operation]:
        inside = () if self._scan is None else self._scan.inside
        return [operation for operation in before if operation not in inside]

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

    def _loop(self, first: int, last: int) -> Iterator[Call]:
        return super()._loop(first, last) if self._scan is None else self._call(first, last)

    def _iterate(self) -> Iterator[Call]:
        return super()._iterate() if self._scan is None else self._call(1, self._space.steps)

    def _call(self, first: int, last: int) -> Iterator[Call]:
        assert self._scan is not None
        pointers = self._space.addresses(self._scan.arguments, first)
        yield self._space.program.bind(self._scan, last - first + 1, self._space.size, pointers)
