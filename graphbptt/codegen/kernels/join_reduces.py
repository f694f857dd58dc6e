"""What one kernel writes to be added up over steps and examples: of the many connections between single units each has
a column or two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from graphbptt.ir.expression import Load
from graphbptt.ir.operations import Contract, Operation, Product, Reduce, View

__all__ = ["WIDEST", "find_view", "join_reduces"]

WIDEST = 128
"""Columns of what is added up together: more have work enough for kernels of their own, and would take much memory."""


def find_view(reduce: Reduce) -> View | None:
    """What is added up, where it lies in a buffer as it is."""
    expression = reduce.expression
    slot = expression.slot if isinstance(expression, Load) else None
    return slot if isinstance(slot, View) and slot.width == reduce.row.width else None


def join_reduces(operations: Iterable[Operation]) -> Iterator[Product | Contract | list[Reduce]]:
    """Products as they are, and between them what is added up together: what lies in a buffer by itself first."""
    for _, items in groupby(operations, key=lambda item: isinstance(item, Reduce)):
        some = list(items)
        reduces = [item for item in some if isinstance(item, Reduce)]
        yield from (item for item in some if isinstance(item, Product | Contract))
        yield from ([reduce] for reduce in reduces if find_view(reduce) is not None)
        yield from _join([reduce for reduce in reduces if find_view(reduce) is None])


def _join(reduces: Iterable[Reduce]) -> Iterator[list[Reduce]]:
    joined: list[Reduce] = []
    columns = 0
    for reduce in reduces:
        columns += reduce.row.width
        if joined and columns > WIDEST:
            yield joined
            joined, columns = [], reduce.row.width
        joined.append(reduce)
    if joined:
        yield joined
