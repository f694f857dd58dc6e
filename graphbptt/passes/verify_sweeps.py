"""The order of a plan: nothing is read before it is written, and every sum starts where it should.

Each access to a row of a buffer gets a key, and accesses to one row happen in the order of their keys. In a loop the
key is ``iteration * operations + position``, where the iteration in which an operation of phase p, scanning with
direction d, reaches row t through a view of shift s is ``d * t + p - d * s``: the row itself cancels. Operations on
whole sequences come before or after all of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from graphbptt.ir.operations import Operation
from graphbptt.ir.plan import LossSite, Plan, Stage, Sweep
from graphbptt.passes.column_ledger import WHOLE, Ledger, Write

__all__ = ["check_backward", "check_forward"]


def check_forward(plan: Plan, ledger: Ledger) -> Iterator[str]:
    """The forward sweeps in order, and whether they compute everything."""
    for stage in plan.stages:
        if stage.mode == "given":
            ledger.finish(plan.placement[name].state for name in stage.populations)
        yield from _check_sweep(ledger, stage, stage.forward, 1)
    for placement in plan.placements:
        for view in (placement.state, placement.net):
            if view is not None and not ledger.is_written(view):
                yield f"nothing computes {view} of {placement.population}"


def check_backward(plan: Plan, ledger: Ledger) -> Iterator[str]:
    """What is cleared, the losses, and the backward sweeps in order; after `check_forward`."""
    ledger.clear(plan.clear)
    yield from _check_losses(plan.losses, ledger)
    for stage in reversed(plan.stages):
        yield from _check_sweep(ledger, stage, stage.backward, -1)
    for placement in plan.placements:
        for view in (placement.delta, placement.net_delta):
            if view is not None and not ledger.is_written(view):
                yield f"{view} of {placement.population} is neither cleared nor written"


def _check_losses(losses: Iterable[LossSite], ledger: Ledger) -> Iterator[str]:
    for site in losses:
        if site.delta is None:
            continue
        if site.accumulate and not ledger.is_written(site.delta):
            yield f"the derivative of term {site.term} is added to {site.delta}, which is not cleared"
        if not site.accumulate and ledger.is_begun(site.delta):
            yield f"the derivative of term {site.term} overwrites {site.delta}"
        ledger.finish((site.delta,))


class _Moment(NamedTuple):
    """When an operation accesses a row through a view of no shift; each step of shift adds `pace`."""

    key: int
    pace: int
    operation: Operation


def _check_sweep(ledger: Ledger, stage: Stage, sweep: Sweep, sense: int) -> Iterator[str]:
    moments = list(_list_moments(sweep, sense, -1 if stage.mode == "reverse" else 1))
    writes = [write for moment in moments for write in _list_writes(moment)]
    for write in sorted(writes, key=lambda write: write.key):
        problem = ledger.write(write)
        if problem:
            yield f"{write.operation}: {problem}"
    for moment in moments:
        for view in moment.operation.reads():
            problem = ledger.read(view, moment.key + view.shift * moment.pace)
            if problem:
                yield f"{moment.operation}: {problem}"
    ledger.finish(write.view for write in writes)


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
    return max(1, len(operation.writes()))


def _list_writes(moment: _Moment) -> Iterator[Write]:
    for position, write in enumerate(moment.operation.writes()):
        key = moment.key + position + write.view.shift * moment.pace
        yield Write(key, write.view, write.how != "set", write.value, moment.operation)
