"""The order of a plan: nothing is read before it is written, and every sum starts where it should.

Each access to a row of a buffer gets a key, and accesses to one row happen in the order of their keys. In a loop the
key is ``iteration * operations + position``, where the iteration in which an operation of phase p, scanning with
direction d, reaches row t through a view of shift s is ``d * t + p - d * s``: the row itself cancels. Operations on
whole sequences come before or after all of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from graphbptt.ir.plan import (
    Assignment,
    Clear,
    Compute,
    Contract,
    LossSite,
    Operation,
    Plan,
    Product,
    Reduce,
    Restrain,
    Silence,
    Stage,
    Sweep,
    View,
    views_in,
)

__all__ = ["check_backward", "check_forward"]

WHOLE = 2**40
"""Larger than every key in a loop."""
DONE, NEVER = -(2**60), 2**60
"""The keys of what was written before the sweep, and of what is not written at all."""


def check_forward(plan: Plan, ledger: Ledger) -> Iterator[str]:
    """The forward sweeps in order, and whether they compute everything."""
    for stage in plan.stages:
        if stage.mode == "given":
            ledger.finish(plan.placement[name].state for name in stage.populations)
        yield from _check_sweep(plan, ledger, stage, stage.forward, 1)
    for placement in plan.placements:
        for view in (placement.state, placement.net):
            if view is not None and not ledger.is_written(view):
                yield f"nothing computes {view} of {placement.population}"


def check_backward(plan: Plan, ledger: Ledger) -> Iterator[str]:
    """What is cleared, the losses, and the backward sweeps in order; after `check_forward`."""
    ledger.clear(plan.clear)
    yield from _check_losses(plan.losses, ledger)
    for stage in reversed(plan.stages):
        yield from _check_sweep(plan, ledger, stage, stage.backward, -1)
    for placement in plan.placements:
        for view in (placement.delta, placement.net_delta):
            if view is not None and not ledger.is_written(view):
                yield f"{view} of {placement.population} is neither cleared nor written"


def _check_losses(losses: Iterable[LossSite], ledger: Ledger) -> Iterator[str]:
    for site in losses:
        if site.delta is not None and not ledger.is_written(site.delta):
            yield f"the derivative of target {site.target} is added to {site.delta}, which is not cleared"


class _Moment(NamedTuple):
    """When an operation accesses a row through a view of no shift; each step of shift adds `pace`."""

    key: int
    pace: int
    operation: Operation


def _check_sweep(plan: Plan, ledger: Ledger, stage: Stage, sweep: Sweep, sense: int) -> Iterator[str]:
    moments = list(_list_moments(sweep, sense, -1 if stage.mode == "reverse" else 1))
    writes = [
        (moment.key + position + view.shift * moment.pace, view, accumulate, moment)
        for moment in moments
        for position, (view, accumulate) in enumerate(_list_writes(plan, moment.operation))
    ]
    for key, view, accumulate, moment in sorted(writes, key=lambda write: write[0]):
        problem = ledger.write(view, accumulate, key)
        if problem:
            yield f"{moment.operation}: {problem}"
    for moment in moments:
        for view in _list_reads(moment.operation):
            problem = ledger.read(view, moment.key + view.shift * moment.pace)
            if problem:
                yield f"{moment.operation}: {problem}"
    ledger.finish(view for _, view, _, _ in writes)


def _list_moments(sweep: Sweep, sense: int, direction: int) -> Iterator[_Moment]:
    """`sense` is -1 where the iterations run backward, `direction` is -1 where the scan is in reverse.

    Positions count writes: those of one operation happen one after the other.
    """
    each = [operation for _, operation in sweep.each]
    counts = [_count_writes(operation) for operation in chain(sweep.before, each, sweep.after)]
    length = sum(counts) + 1
    position = iter(np.cumsum([0, *counts]).tolist())
    for operation in sweep.before:
        yield _Moment(next(position) - WHOLE, 0, operation)
    for phase, operation in sweep.each:
        yield _Moment(sense * phase * length + next(position), -sense * direction * length, operation)
    for operation in sweep.after:
        yield _Moment(next(position) + WHOLE, 0, operation)


def _count_writes(operation: Operation) -> int:
    if isinstance(operation, Compute):
        return len(operation.assignments)
    return len(operation.slopes) if isinstance(operation, Silence) else 1


def _list_writes(plan: Plan, operation: Operation) -> list[tuple[View, bool]]:
    """What an operation writes, and whether it changes what is there already."""
    if isinstance(operation, Product):
        return [(operation.out, operation.accumulate)]
    if isinstance(operation, Compute):
        return [(item.out, item.accumulate or _updates(item)) for item in operation.assignments]
    if isinstance(operation, Restrain):
        return [(plan.placement[operation.population].state, True)]
    return [(slope, True) for slope in operation.slopes] if isinstance(operation, Silence) else []


def _updates(item: Assignment) -> bool:
    """Whether an assignment replaces what it reads."""
    return item.out in views_in(item.expression)


def _list_reads(operation: Operation) -> list[View]:
    if isinstance(operation, Product):
        return [operation.source]
    if isinstance(operation, Contract):
        return [operation.source, operation.delta]
    if isinstance(operation, Compute):
        return [
            view for item in operation.assignments for view in views_in(item.expression) if view != item.out
        ]
    return list(views_in(operation.expression)) if isinstance(operation, Reduce) else []


@dataclass
class _Columns:
    """Of each column of a buffer: the keys of its first and last write, which rows hold it, which are cleared.

    `shift` is that of a whole-sequence write that fills other rows than 1 to T; `edge` says at which end, and how many,
    rows start at zero though the rest does not.
    """

    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    shift: npt.NDArray[np.int64]
    edge: npt.NDArray[np.int64]
    shifted: bool = False


class Ledger:
    """What has been written so far, column by column."""

    def __init__(self, plan: Plan) -> None:
        self._columns = {
            buffer.name: _Columns(
                np.full(buffer.width, NEVER), np.full(buffer.width, NEVER),
                np.zeros(buffer.width, np.int64), np.zeros(buffer.width, np.int64),
            )
            for buffer in plan.buffers
        }  # fmt: skip

    def is_written(self, view: View) -> bool:
        return bool((self._columns[view.buffer].last[view.start : view.stop] == DONE).all())

    def clear(self, items: Iterable[Clear]) -> None:
        for item in items:
            if item.rows:
                self._columns[item.view.buffer].edge[item.view.start : item.view.stop] = item.rows
            else:
                self.finish((item.view,))

    def finish(self, views: Iterable[View]) -> None:
        """What was written in a sweep is there for all that follow."""
        for view in views:
            columns = self._columns[view.buffer]
            columns.first[view.start : view.stop] = DONE
            columns.last[view.start : view.stop] = DONE

    def write(self, view: View, accumulate: bool, key: int) -> str:
        """Enter a write; called in the order of the keys. Returns what is wrong with it."""
        columns = self._columns[view.buffer]
        first = columns.first[view.start : view.stop]
        problem = ""
        if accumulate:
            if first.max() >= key:
                problem = f"changes {view} before it is written"
            elif not self._is_aligned(view, key):
                problem = f"changes {view} at other rows than were written"
        elif first.min() < NEVER:
            problem = f"overwrites {view}"
        else:
            first[:] = key
            if view.shift and abs(key) > WHOLE // 2:
                columns.shift[view.start : view.stop] = view.shift
                columns.shifted = True
            elif view.shift and (columns.edge[view.start : view.stop] != view.shift).any():
                problem = f"leaves out rows of {view} that are not cleared"
        columns.last[view.start : view.stop] = key
        return problem

    def read(self, view: View, key: int) -> str:
        """What is wrong with a read, when all writes of its sweep are known."""
        if self._columns[view.buffer].last[view.start : view.stop].max() >= key:
            return f"reads {view} before it is written"
        return "" if self._is_aligned(view, key) else f"reads {view} at other rows than were written"

    def _is_aligned(self, view: View, key: int) -> bool:
        """Whether a view has the rows of the whole sequences written to it, where it has to.

        Up to the end of a loop it has to if they were written in the same sweep: that may happen in blocks of steps,
        just ahead of the loop, so other rows may not be there yet. And what fills other rows than 1 to T is read there.
        """
        columns = self._columns[view.buffer]
        if not view.shift and not columns.shifted:
            return True
        part = slice(view.start, view.stop)
        first, shift = columns.first[part], columns.shift[part]
        tied = shift != 0
        if key < WHOLE // 2:
            tied |= (first != DONE) & (first < -WHOLE // 2)
        return bool((shift[tied] == view.shift).all())
