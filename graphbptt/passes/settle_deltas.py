"""Which of the additions to a delta comes first, and so can be a plain write.

The backward sweeps are made of additions, since several readers may send derivatives to one state. Columns whose first
addition covers all their steps at once are written instead; all others are cleared beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from graphbptt.ir.plan import Assignment, Compute, Operation, Plan, Product, Stage, View, find_runs

__all__ = ["settle_deltas"]


def settle_deltas(plan: Plan) -> Plan:
    """Set `accumulate` of everything written to deltas, and list the views to be cleared."""
    ledger = _Ledger(plan)
    for site in plan.losses:
        if site.delta is not None:
            ledger.clear(site.delta)
    settled = [_settle_stage(stage, ledger) for stage in reversed(plan.stages)]
    for placement in plan.placements:
        for view in (placement.delta, placement.net_delta):
            if view is not None:
                ledger.clear(view)
    return replace(plan, stages=tuple(reversed(settled)), clear=ledger.cleared())


def _settle_stage(stage: Stage, ledger: _Ledger) -> Stage:
    sweep = stage.backward
    before = tuple(_settle(operation, ledger) for operation in sweep.before)
    aligned = all(phase == 0 for phase, _ in sweep.each)
    for _, operation in sweep.each:
        for view in _written(operation):
            if view.shift != 0 or not aligned:
                ledger.clear(view)
    each = tuple((phase, _settle(operation, ledger)) for phase, operation in sweep.each)
    after = tuple(_settle(operation, ledger) for operation in sweep.after)
    return replace(stage, backward=replace(sweep, before=before, each=each, after=after))


def _written(operation: Operation) -> Iterable[View]:
    if isinstance(operation, Product):
        return (operation.out,)
    return tuple(item.out for item in operation.assignments) if isinstance(operation, Compute) else ()


def _settle(operation: Operation, ledger: _Ledger) -> Operation:
    if isinstance(operation, Product):
        return replace(operation, accumulate=ledger.claim(operation.out))
    if isinstance(operation, Compute):
        return Compute(tuple(_settle_assignment(item, ledger) for item in operation.assignments))
    return operation


def _settle_assignment(assignment: Assignment, ledger: _Ledger) -> Assignment:
    if not ledger.keeps(assignment.out):
        return assignment
    return replace(assignment, accumulate=ledger.claim(assignment.out))


class _Ledger:
    """What has been written, column by column, to every buffer of deltas."""

    def __init__(self, plan: Plan) -> None:
        names = [buffer for buffer in plan.buffers if buffer.name.startswith(("delta", "netdelta"))]
        self._written = {buffer.name: np.zeros(buffer.width, bool) for buffer in names}
        self._clear = {buffer.name: np.zeros(buffer.width, bool) for buffer in names}

    def keeps(self, view: View) -> bool:
        return view.buffer in self._written

    def clear(self, view: View) -> None:
        """Have the columns start at zero where nothing has been written to them yet."""
        written = self._written[view.buffer][view.start : view.stop]
        self._clear[view.buffer][view.start : view.stop] |= ~written
        written[:] = True

    def claim(self, view: View) -> bool:
        """Whether a write to the view must add."""
        if view.shift == 0 and not self._written[view.buffer][view.start : view.stop].any():
            self._written[view.buffer][view.start : view.stop] = True
            return False
        self.clear(view)
        return True

    def cleared(self) -> tuple[View, ...]:
        return tuple(
            View(name, start, stop) for name, flags in self._clear.items() for start, stop in find_runs(flags)
        )
