"""Views, and rows of the packed vector, that lie side by side as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from graphbptt.ir.operations import Row, View

__all__ = ["join_rows", "join_views"]


def join_views(views: Iterable[View]) -> Iterator[View]:
    """All columns that some views have, of every buffer at every shift, in as few views as there can be.

    >>> [str(view) for view in join_views([View("a", 2, 3), View("b", 0, 1), View("a", 5, 6), View("a", 0, 2)])]
    ['a:0-3', 'a:5-6', 'b:0-1']
    """
    beside: dict[tuple[str, int], list[View]] = {}
    for view in views:
        beside.setdefault((view.buffer, view.shift), []).append(view)
    for group in beside.values():
        joined, *others = sorted(group, key=lambda view: view.start)
        for view in others:
            if view.start <= joined.stop:
                joined = replace(joined, stop=max(joined.stop, view.stop))
            else:
                yield joined
                joined = view
        yield joined


def join_rows(rows: Iterable[Row]) -> Iterator[Row]:
    """The same numbers in the same order; what follows what is before it is one with it.

    >>> [str(row) for row in join_rows([Row(4, 5), Row(5, 8), Row(0, 2), Row(3, 4)])]
    ['vector:4-8', 'vector:0-2', 'vector:3-4']
    """
    first, *others = rows
    for row in others:
        if row.start == first.stop:
            first = Row(first.start, row.stop)
        else:
            yield first
            first = row
    yield first
