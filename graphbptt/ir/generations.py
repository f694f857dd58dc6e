"""The topological generations of a graph that repeats itself in time, found without an object per vertex.

A vertex is one number, its place in the concatenation of all rows; generation 0 has no incoming arcs, and
every other vertex comes one generation after the last of those it depends on (Kahn 1962, *Topological sorting
of large networks*).
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

__all__ = ["RowBundle", "sort_generations"]


class RowBundle(NamedTuple):
    """The arcs ``(source, t - delay) -> (target, t)`` for t in `steps`, between rows given by their index."""

    source: int
    target: int
    delay: int
    steps: Collection[int]


def sort_generations(rows: Sequence[range], bundles: Iterable[RowBundle]) -> tuple[array[int], array[int]]:
    """Sort the vertices of `rows`, each the range of its steps, into generations.

    Returns
    -------
    order, starts : array of int
        The vertices by generation, ascending within one, and where each generation starts; the last start is
        the end. Vertices on a cycle, or behind one, are missing.

    Examples
    --------
    >>> order, starts = sort_generations([range(0, 3)], [RowBundle(0, 0, 1, range(1, 3))])
    >>> list(order), list(starts)
    ([0, 1, 2], [0, 1, 2, 3])
    """
    bundles = list(bundles)
    base, end = [], 0
    for row in rows:
        base.append(end - row.start)
        end += len(row)
    awaited = array("q", bytes(8 * end))
    leaving: list[list[tuple[int, RowBundle]]] = [[] for _ in rows]
    for bundle in bundles:
        leaving[bundle.source].append((base[bundle.target], bundle))
        for step in bundle.steps:
            awaited[base[bundle.target] + step] += 1

    order = array("q", (vertex for vertex in range(end) if not awaited[vertex]))
    starts = array("q", [0])
    while starts[-1] < len(order):
        generation = order[starts[-1] :]
        starts.append(len(order))
        order.extend(sorted(_release(generation, rows, base, leaving, awaited)))
    return order, starts


def _release(
    generation: array[int],
    rows: Sequence[range],
    base: Sequence[int],
    leaving: Sequence[Sequence[tuple[int, RowBundle]]],
    awaited: array[int],
) -> Iterable[int]:
    """The vertices that waited for nothing but this generation."""
    row = 0
    for vertex in generation:
        while vertex >= base[row] + rows[row].stop:
            row += 1
        step = vertex - base[row]
        for target, bundle in leaving[row]:
            if step + bundle.delay in bundle.steps:
                released = target + step + bundle.delay
                awaited[released] -= 1
                if not awaited[released]:
                    yield released
