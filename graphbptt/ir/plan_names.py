"""What lies in the columns of a plan: views, rows and expressions in the names of the network.

state of h            h, h[t-1]              several side by side: (h[t-1], y[t-1])
any other buffer      net1[h, y], delta1[h][t-1]
copy beside states    state1[x][t-1], x at this step in the row of the states one step earlier
row of the vector     h.bias, (h.bias, 0.5*y.bias)
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, takewhile
from typing import Generic, TypeVar

from graphbptt.ir.expression import Expression, Load, leaves, substitute
from graphbptt.ir.operations import Compute, Row, View
from graphbptt.ir.parameters import FrozenArray
from graphbptt.ir.plan import Plan, RowEntry

__all__ = ["PlanNames", "join_names"]

Item = TypeVar("Item")


def join_names(names: Iterable[str], longest: int = 8) -> str:
    """A list of names, cut where it is long.

    >>> join_names("abcde", longest=3)
    'a, b, c, ... (5 in all)'
    """
    every = list(names)
    return ", ".join(every[:longest]) + (f", ... ({len(every)} in all)" if len(every) > longest else "")


class _Spans(Generic[Item]):
    """What lies in disjoint spans of columns, found without a walk over all of it.

    >>> spans = _Spans()
    >>> for start, what in (3, "h"), (0, "x"), (5, "y"):
    ...     spans.add(start, start + 2, what)
    >>> spans.find(1, 5)
    ['h', 'x']
    """

    def __init__(self) -> None:
        self._spans: list[tuple[int, int, int]] = []
        self._items: list[Item] = []

    def add(self, start: int, stop: int, item: Item) -> None:
        insort(self._spans, (start, stop, len(self._items)))
        self._items.append(item)

    def find(self, start: int, stop: int) -> list[Item]:
        """What overlaps with a span, in the order in which it was added."""
        first = max(0, bisect_left(self._spans, (start, 0, 0)) - 1)
        reached = takewhile(
            lambda span: span[0] < stop, (self._spans[k] for k in range(first, len(self._spans)))
        )
        return [self._items[number] for number in sorted(n for _, end, n in reached if end > start)]


class PlanNames:
    """The names of everything in one plan."""

    def __init__(self, plan: Plan) -> None:
        self._rows: _Spans[RowEntry] = _Spans()
        for entry in plan.vector:
            self._rows.add(entry.row.start, entry.row.stop, entry)
        self._buffers = plan.buffer
        self._columns: defaultdict[str, _Spans[tuple[View, str]]] = defaultdict(_Spans)
        for placement in plan.placements:
            for view in (placement.state, placement.net):
                if view is not None:
                    self._add(view, placement.population)
        self._beside: set[View] = set()
        for operation in chain.from_iterable(stage.forward.before for stage in plan.stages):
            for item in operation.assignments if isinstance(operation, Compute) else ():
                if not any(self._parts(item.out)):
                    self._add(item.out, self.expression(item.expression))
                    self._beside.add(item.out)

    def _add(self, view: View, name: str) -> None:
        self._columns[view.buffer].add(view.start, view.stop, (view, name))

    def view(self, view: View) -> str:
        """Whose columns a view has, and at which step."""
        if self._buffers[view.buffer].kind == "state":
            parts = [part + _when(shift) for part, shift in self._parts(view)]
            return join_names(parts) if len(parts) == 1 else f"({join_names(parts)})"
        return f"{view.buffer}[{join_names(part for part, _ in self._parts(view))}]{_when(view.shift)}"

    def result(self, view: View) -> str:
        """The same where it is written: a copy of data, beside states with which a product reads it, says where.

        That may be in a row of another step.
        """
        name = self.view(view)
        return f"{view.buffer}[{name}]{_when(view.shift)}" if view in self._beside else name

    def residents(self, buffer: str, width: int) -> str:
        """Everything in a buffer."""
        return join_names(part for part, _ in self._parts(View(buffer, 0, width)))

    def _parts(self, view: View) -> Iterator[tuple[str, int]]:
        """The populations whose columns a view has, each with how many steps after the current one."""
        layout = self._buffers[view.buffer].columns_of or view.buffer
        for columns, name in self._columns[layout].find(view.start, view.stop):
            start, stop = max(columns.start, view.start), min(columns.stop, view.stop)
            if start < stop:
                part = (
                    ""
                    if stop - start == columns.width
                    else _units(start - columns.start, stop - columns.start)
                )
                yield name + part, view.shift - columns.shift

    def row(self, row: Row) -> str:
        """What fills a slice of the packed vector."""
        names = [
            "constants" if isinstance(entry.value, FrozenArray) else str(entry.value)
            for entry in self._rows.find(row.start, row.stop)
        ]
        return join_names(names)

    def expression(self, expression: Expression) -> str:
        """An expression of views and rows."""
        loads: dict[Expression, Expression] = {
            leaf: Load(self.view(leaf.slot) if isinstance(leaf.slot, View) else self.row(leaf.slot))
            for leaf in leaves(expression)
            if isinstance(leaf, Load) and isinstance(leaf.slot, View | Row)
        }
        return _strip(str(substitute(expression, loads)))


def _when(shift: int) -> str:
    return f"[t{shift:+d}]" if shift else ""


def _units(start: int, stop: int) -> str:
    return f"(unit {start})" if stop == start + 1 else f"(units {start}-{stop - 1})"


def _strip(text: str) -> str:
    """Without the brackets around the whole."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and position < len(text) - 1:
            return text
    return text[1:-1] if text.startswith("(") else text
