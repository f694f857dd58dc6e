"""What a group of operations on rows finds in memory, and what it leaves there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphbptt.codegen.arguments import Arguments
from graphbptt.codegen.rows.computes import is_there
from graphbptt.codegen.rows.rows import RowOperation
from graphbptt.ir.operations import Compute, View, Write, views_in

__all__ = ["find_accesses"]


def find_accesses(
    arguments: Arguments, group: Iterable[RowOperation]
) -> tuple[tuple[View, ...], tuple[View, ...]]:
    """The views that a group reads as they were before it, and those that it writes.

    What only some threads write, as states that are set here and there, is read as well: the rest of it stays.
    """
    reads: dict[View, None] = {}
    written: list[View] = []
    for loads, write in (access for operation in group for access in _list_accesses(arguments, operation)):
        needed = loads if write.how == "set" else (*loads, write.view)
        reads.update(
            (view, None) for view in needed if not any(_covers(arguments, one, view) for one in written)
        )
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


def _covers(arguments: Arguments, written: View, view: View) -> bool:
    """Whether all of a view was written, by the thread that reads it."""
    home = arguments.home
    same = home(written) == home(view) and written.shift == view.shift
    return same and written.start <= view.start and view.stop <= written.stop
