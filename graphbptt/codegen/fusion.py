"""Which operations on rows one kernel can do, each thread by itself.

    group    := (operation, ...)            one kernel: a thread for each row and column, or for each row of a softmax
    touching := Touching(view, aligned, writes)         a view that an operation reads or writes

The thread of column j touches column j of an *aligned* view, and any column of another one. Two operations share a
kernel where no thread touches what another thread writes. What is written for one step and read for another is touched
by two of them, unless all threads are at the same step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from graphbptt.codegen.rows import RowOperation
from graphbptt.ir.expression import Load, leaves
from graphbptt.ir.lifetimes import find_same
from graphbptt.ir.operations import Assignment, Compute, Silence, Softmax, SoftmaxGradient, View
from graphbptt.ir.plan import Plan

__all__ = ["fuse_rows"]


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
    groups: list[list[RowOperation]] = []
    fusion = _Fusion(find_same(plan), whole)
    for operation in operations:
        for part in fusion.split(operation):
            if groups and fusion.fits(groups[-1], part):
                groups[-1].append(part)
            else:
                groups.append([part])
    return [tuple(group) for group in groups]


@dataclass(frozen=True, slots=True)
class _Fusion:
    """What decides: which buffers lie in the memory of others, and whether threads are at different steps."""

    same: dict[str, str]
    whole: bool

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
        """A softmax, of which one thread does all columns, stays alone."""
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
