"""Which operations on rows one kernel can do, each thread by itself.

    group    := (operation, ...)            one kernel: a thread for each row and column, or each lane of a softmax
    touching := Touching(view, aligned, writes)         a view that an operation reads or writes

The thread of column j touches column j of an *aligned* view, and any column of another one. Two operations share a
kernel where no thread touches what another thread writes. What is written for one step and read for another is touched
by two of them, unless all threads are at the same step.

Populations that lie side by side may be written together, as the gates of a cell are, and read one by one: a column of
the one is then another thread's. Where that takes kernels less, each is written by itself: the thread of column j does
column j of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

from graphbptt.codegen.rows.rows import RowOperation
from graphbptt.ir.expression import Load, leaves, substitute
from graphbptt.ir.lifetimes import find_same
from graphbptt.ir.operations import Assignment, Compute, Row, Silence, Softmax, SoftmaxGradient, View
from graphbptt.ir.plan import Plan

__all__ = ["fuse_rows"]

MOST_LANES = 8
"""One thread does no more than that many populations: others would have nothing to do."""

Slot = TypeVar("Slot", bound=View | Row)


@dataclass(frozen=True, slots=True)
class Touching:
    view: View
    aligned: bool
    writes: bool


def fuse_rows(plan: Plan, operations: Iterable[RowOperation], whole: bool) -> list[tuple[RowOperation, ...]]:
    """Neighbouring operations in groups; over `whole` sequences, or at one step of all examples.

    Assignments of one operation that cannot share a kernel become operations of their own, the plain writes first, and
    so do the slopes of each width that one operation silences.
    """
    operations, fusion = list(operations), _Fusion(find_same(plan), whole)
    together, apart = (fusion.group(items) for items in (operations, list(_part_lanes(plan, operations))))
    return apart if len(apart) < len(together) else together


def _part_lanes(plan: Plan, operations: Iterable[RowOperation]) -> Iterator[RowOperation]:
    """The same with an assignment for each population that has columns of its own, where these are few."""
    for operation in operations:
        if isinstance(operation, Compute):
            items = (part for item in operation.assignments for part in _part_assignment(plan, item))
            yield Compute(tuple(items))
        else:
            yield operation


def _part_assignment(plan: Plan, item: Assignment) -> tuple[Assignment, ...]:
    """One for each lane of the buffer that it writes; what is repeated along these is repeated as often in each."""
    buffer, out = plan.buffer.get(item.out.buffer), item.out
    width = buffer.lane_width if buffer is not None else out.width
    count = out.width // width
    loads = [leaf.slot for leaf in leaves(item.expression) if isinstance(leaf, Load)]
    slots = [slot for slot in loads if isinstance(slot, View | Row)]
    fits = all(slot.width == out.width or width % slot.width == 0 for slot in slots)
    if out.start % width or out.width % width or not 1 < count <= MOST_LANES or not fits:
        return (item,)
    return tuple(
        Assignment(
            _take(out, lane, width),
            substitute(
                item.expression,
                {Load(slot): Load(_take(slot, lane, width)) for slot in slots if slot.width == out.width},
            ),
            item.accumulate,
        )
        for lane in range(count)
    )


def _take(slot: Slot, lane: int, width: int) -> Slot:
    """One lane of columns."""
    start = slot.start + lane * width
    return replace(slot, start=start, stop=start + width)


@dataclass(frozen=True, slots=True)
class _Fusion:
    """What decides: which buffers lie in the memory of others, and whether threads are at different steps."""

    same: dict[str, str]
    whole: bool

    def group(self, operations: Iterable[RowOperation]) -> list[tuple[RowOperation, ...]]:
        """Each operation, or part of one, with those before it, if it can be."""
        groups: list[list[RowOperation]] = []
        for operation in operations:
            for part in self.split(operation):
                if groups and self.fits(groups[-1], part):
                    groups[-1].append(part)
                else:
                    groups.append([part])
        return [tuple(group) for group in groups]

    def split(self, operation: RowOperation) -> tuple[RowOperation, ...]:
        if isinstance(operation, Silence):
            widths = dict.fromkeys(slope.width for slope in operation.slopes)
            parts = (tuple(slope for slope in operation.slopes if slope.width == width) for width in widths)
            return tuple(replace(operation, slopes=part) for part in parts)
        if not isinstance(operation, Compute):
            return (operation,)
        items = sorted(operation.assignments, key=lambda item: item.accumulate)
        touched = [list(_touch_assignment(item)) for item in items]
        meets = any(self._meet(one, other) for k, one in enumerate(touched) for other in touched[:k])
        return tuple(Compute((item,)) for item in items) if meets else (operation,)

    def fits(self, group: list[RowOperation], operation: RowOperation) -> bool:
        """A softmax, whose threads meet, stays alone."""
        if any(isinstance(item, Softmax | SoftmaxGradient) for item in (group[0], operation)):
            return False
        touched = list(_touch(operation))
        return not any(self._meet(list(_touch(earlier)), touched) for earlier in group)

    def _meet(self, some: list[Touching], others: list[Touching]) -> bool:
        return any(self._clash(one, other) for one, other in product(some, others))

    def _clash(self, one: Touching, other: Touching) -> bool:
        """Whether two threads may touch the same number, one of them to write it."""
        a, b = one.view, other.view
        if not (one.writes or other.writes) or self._home(a) != self._home(b):
            return False
        if a.stop <= b.start or b.stop <= a.start:
            return False
        if a.shift != b.shift:
            return self.whole
        return a.start != b.start or not (one.aligned and other.aligned)

    def _home(self, view: View) -> str:
        return self.same.get(view.buffer, view.buffer)


def _touch(operation: RowOperation) -> Iterator[Touching]:
    if isinstance(operation, Compute):
        for item in operation.assignments:
            yield from _touch_assignment(item)
        return
    yield from (Touching(view, True, False) for view in operation.reads())
    yield from (Touching(write.view, True, True) for write in operation.writes())


def _touch_assignment(item: Assignment) -> Iterator[Touching]:
    yield Touching(item.out, True, True)
    for leaf in leaves(item.expression):
        if isinstance(leaf, Load) and isinstance(leaf.slot, View):
            yield Touching(leaf.slot, leaf.slot.width == item.out.width, False)
