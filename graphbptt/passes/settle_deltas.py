"""Which of the additions to a delta comes first, and so can be a plain write.

The backward sweeps are made of additions, since several readers may send derivatives to one state. Columns whose first
addition covers all their steps are written instead; all others are cleared beforehand. Inside a loop the first to
reach a row is the write furthest ahead of its step: it leaves out as many rows as it is ahead, where the loop begins,
and only these are cleared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress

import numpy as np
import numpy.typing as npt

from graphbptt.ir.operations import Operation, View, find_runs, settle
from graphbptt.ir.plan import Clear, Plan, Stage

__all__ = ["settle_deltas"]


def settle_deltas(plan: Plan) -> Plan:
    """Set `accumulate` of everything written to deltas, and list what must be cleared."""
    ledger = _Ledger(plan)
    losses = tuple(
        site
        if site.delta is None
        else replace(site, accumulate=_settle_loss(plan, site.delta, site.term, ledger))
        for site in plan.losses
    )
    settled = [_settle_stage(stage, ledger) for stage in reversed(plan.stages)]
    for placement in plan.placements:
        for view in (placement.delta, placement.net_delta):
            if view is not None:
                ledger.clear(view)
    return replace(plan, stages=tuple(reversed(settled)), losses=losses, clear=ledger.cleared())


def _settle_loss(plan: Plan, delta: View, term: int, ledger: _Ledger) -> bool:
    """Whether the derivative of a term must add; that of some of a node's units leaves out the others."""
    if plan.network.terms[term].units is not None:
        ledger.clear(delta)
        return True
    return ledger.claim(delta)


def _settle_stage(stage: Stage, ledger: _Ledger) -> Stage:
    sweep = stage.backward
    for view in (view for operation in sweep.before for view in _written(operation) if view.shift):
        ledger.clear(
            view
        )  # these operations go block by block: a write must not undo what another block added
    before = tuple(settle(operation, map(ledger.claim, _written(operation))) for operation in sweep.before)
    views = [view for _, operation in sweep.each for view in _written(operation)]
    aligned = all(phase == 0 for phase, _ in sweep.each)
    flags = iter(_settle_loop(views, ledger, aligned))
    each = tuple((phase, settle(operation, flags)) for phase, operation in sweep.each)
    after = tuple(settle(operation, map(ledger.claim, _written(operation))) for operation in sweep.after)
    return replace(stage, backward=replace(sweep, before=before, each=each, after=after))


def _written(operation: Operation) -> tuple[View, ...]:
    """The views whose writes may have to add."""
    return tuple(write.view for write in operation.writes() if write.how != "change")


def _settle_loop(views: Sequence[View], ledger: _Ledger, aligned: bool) -> list[bool]:
    """Whether each of a loop's writes must add: all, if different populations are at different steps."""
    ranks = [abs(view.shift) * len(views) + len(views) - order for order, view in enumerate(views)]
    first: dict[str, npt.NDArray[np.int64]] = {}
    for view, rank in zip(views, ranks, strict=True):
        columns = first.setdefault(view.buffer, np.zeros(ledger.width(view), np.int64))[
            view.start : view.stop
        ]
        np.maximum(columns, rank, out=columns)
    plain = [
        aligned and ledger.is_fresh(view) and bool((first[view.buffer][view.start : view.stop] == rank).all())
        for view, rank in zip(views, ranks, strict=True)
    ]
    for view in compress(views, plain):
        ledger.write(view)
    for view in views:
        ledger.clear(view)  # what only others write
    return [not is_plain for is_plain in plain]


class _Ledger:
    """What has been written, column by column, to every buffer of deltas."""

    def __init__(self, plan: Plan) -> None:
        names = [buffer for buffer in plan.buffers if buffer.kind in ("delta", "netdelta")]
        self._written = {buffer.name: np.zeros(buffer.width, bool) for buffer in names}
        self._clear = {buffer.name: np.zeros(buffer.width, bool) for buffer in names}
        self._edges: list[Clear] = []

    def width(self, view: View) -> int:
        return len(self._written[view.buffer])

    def is_fresh(self, view: View) -> bool:
        return not self._written[view.buffer][view.start : view.stop].any()

    def write(self, view: View) -> None:
        """A plain write; the rows it leaves out start at zero."""
        self._written[view.buffer][view.start : view.stop] = True
        if view.shift:
            self._edges.append(Clear(replace(view, shift=0), view.shift))

    def clear(self, view: View) -> None:
        """Have the columns start at zero where nothing has been written yet."""
        written = self._written[view.buffer][view.start : view.stop]
        self._clear[view.buffer][view.start : view.stop] |= ~written
        written[:] = True

    def claim(self, view: View) -> bool:
        """Whether a write to the view for a whole sequence must add; slopes are not deltas and never do."""
        if view.buffer not in self._written:
            return False
        if view.shift or not self.is_fresh(view):
            self.clear(view)
            return True
        self.write(view)
        return False

    def cleared(self) -> tuple[Clear, ...]:
        runs = ((name, run) for name, flags in self._clear.items() for run in find_runs(flags))
        return (*(Clear(View(name, start, stop)) for name, (start, stop) in runs), *self._edges)
