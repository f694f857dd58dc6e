"""What a group of operations on rows finds in memory, and what it leaves there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from graphbptt.codegen.name_arguments import Arguments
from graphbptt.codegen.rows.computes import is_there
from graphbptt.codegen.rows.rows import RowOperation
from graphbptt.ir.operations import Compute, View, Write, views_in

__all__ = ["find_accesses"]


def find_accesses(
    arguments: Arguments, group: Iterable[RowOperation]
) -> tuple[tuple[View, ...], tuple[View, ...]]:
    """The views that a group reads as they were before it, and those that it writes.

    What only some threads write, as states that are set here and there, is read as well: the rest of it stays. Of what
    the group itself wrote some columns of before it adds to all, only the others are read.
    """
    reads: dict[View, None] = {}
    written: list[View] = []
    for loads, write in (access for operation in group for access in _list_accesses(arguments, operation)):
        needed = loads if write.how == "set" else (*loads, write.view)
        reads.update((part, None) for view in needed for part in _find_rest(arguments, written, view))
        written.append(write.view)
    return tuple(reads), tuple(dict.fromkeys(written))


def _list_accesses(arguments: Arguments, operation: RowOperation) -> Iterator[tuple[tuple[View, ...], Write]]:
    """Each write of an operation, plain ones first, and what it is computed from."""
    if not isinstance(operation, Compute):
        yield from ((operation.reads(), write) for write in operation.writes())
        return
    for item in sorted(operation.assignments, key=lambda item: item.accumulate):
        if not is_there(arguments, item):
            yield tuple(views_in(item.expression)), item.writes()


def _find_rest(arguments: Arguments, written: Iterable[View], view: View) -> list[View]:
    """What of a view was not written; what was, was so by the thread that reads it."""
    rest = [view]
    for one in written:
        if arguments.home(one) == arguments.home(view) and one.shift == view.shift:
            rest = [part for piece in rest for part in _cut_out(one, piece)]
    return rest


def _cut_out(written: View, view: View) -> Iterator[View]:
    """The columns of a view before those that were written, and those behind them."""
    for start, stop in (
        (view.start, min(view.stop, written.start)),
        (max(view.start, written.stop), view.stop),
    ):
        if start < stop:
            yield replace(view, start=start, stop=stop)
