"""Which columns of a plan's buffers have been written, and when: what `verify_sweeps` enters and asks.

Every access to a row has a key, and accesses to one row happen in the order of their keys. Those of a loop are small
numbers; those on whole sequences come `WHOLE` before or after them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Expression, Number
from graphbptt.ir.operations import Operation, View
from graphbptt.ir.plan import Clear, Plan

__all__ = ["WHOLE", "Ledger", "Write"]

WHOLE = 2**40
"""Larger than every key in a loop."""
DONE, NEVER = -(2**60), 2**60
"""The keys of what was written before the sweep, and of what is not written at all."""


class Write(NamedTuple):
    """One write: when, where, whether it changes what is there already, and what is written, if it is an expression."""

    key: int
    view: View
    changes: bool
    expression: Expression | None
    operation: Operation


@dataclass
class _Columns:
    """Of each column of a buffer: the keys of its first and last write, which rows are cleared, whether it is a unit's.

    `edge` says at which end, and how many, rows start at zero though the rest does not.
    """

    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    edge: npt.NDArray[np.int64]
    owned: npt.NDArray[np.bool_]
    beside: dict[tuple[int, int], _Copy] = field(default_factory=dict)


@dataclass
class _Copy:
    """Columns that belong to no unit, filled for whole sequences: with a copy of data, a constant, or slopes.

    They have no history: they are read by the same shifts by which they were written, whose keys `written` holds. A
    constant may be written by several.
    """

    expression: Expression | None
    written: dict[int, int]

    def is_ready(self, shift: int, key: int) -> bool:
        return self.written.get(shift, NEVER) < key


class Ledger:
    """What has been written so far, column by column."""

    def __init__(self, plan: Plan) -> None:
        self._columns = {
            buffer.name: _Columns(
                np.full(buffer.width, NEVER),
                np.full(buffer.width, NEVER),
                np.zeros(buffer.width, np.int64),
                np.zeros(buffer.width, bool),
            )
            for buffer in plan.buffers
        }
        for placement in plan.placements:
            for view in (placement.state, placement.net, placement.delta, placement.net_delta):
                if view is not None:
                    self._columns[view.buffer].owned[view.start : view.stop] = True

    def is_written(self, view: View) -> bool:
        return bool((self._columns[view.buffer].last[view.start : view.stop] == DONE).all())

    def is_begun(self, view: View) -> bool:
        """Whether anything has been written to some of the columns, or is cleared there."""
        return bool((self._columns[view.buffer].first[view.start : view.stop] != NEVER).any())

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
            copy = columns.beside.get((view.start, view.stop))
            if copy is not None:
                copy.written[view.shift] = DONE

    def write(self, write: Write) -> str:
        """Enter a write; called in the order of the keys. Returns what is wrong with it."""
        view, columns = write.view, self._columns[write.view.buffer]
        first, last = (keys[view.start : view.stop] for keys in (columns.first, columns.last))
        if write.changes:
            problem = "" if first.max() < write.key else f"changes {view} before it is written"
            last[:] = write.key
            return problem or self._check_rows(view, write.key, "changes")
        if first.min() < NEVER:
            return self._write_again(write)
        first[:] = last[:] = write.key
        if abs(write.key) > WHOLE // 2 and not columns.owned[view.start : view.stop].any():
            columns.beside[view.start, view.stop] = _Copy(write.expression, {view.shift: write.key})
        elif view.shift and (columns.edge[view.start : view.stop] != view.shift).any():
            return f"leaves out rows of {view} that are not cleared"
        return ""

    def _write_again(self, write: Write) -> str:
        """A second plain write is one of a constant, for another shift."""
        copy = self._columns[write.view.buffer].beside.get((write.view.start, write.view.stop))
        again = (
            copy is not None and isinstance(write.expression, Number) and copy.expression == write.expression
        )
        if copy is None or not again or write.view.shift in copy.written:
            return f"overwrites {write.view}"
        copy.written[write.view.shift] = write.key
        return ""

    def read(self, view: View, key: int) -> str:
        """What is wrong with a read, when all writes of its sweep are known."""
        if self._columns[view.buffer].last[view.start : view.stop].max() >= key:
            return f"reads {view} before it is written"
        return self._check_rows(view, key, "reads")

    def _check_rows(self, view: View, key: int, verb: str) -> str:
        """Whether a view has the rows of what was written for whole sequences, where it has to.

        That may happen in blocks of steps, just ahead of the loop of the same sweep: up to the end of that loop, other
        rows may not be there yet.
        """
        columns = self._columns[view.buffer]
        wrong = any(
            start < view.stop and view.start < stop and not copy.is_ready(view.shift, key)
            for (start, stop), copy in columns.beside.items()
        )
        if view.shift and key < WHOLE // 2 and not wrong:
            part = slice(view.start, view.stop)
            first = columns.first[part]
            wrong = bool(((first != DONE) & (first < -WHOLE // 2) & columns.owned[part]).any())
        return f"{verb} {view} at other rows than were written" if wrong else ""
