"""Loops over columns, and which of them differ in nothing but where they read and write.

    loop    := Loop((assignment, ...))      assignments of one shape, computed together, its columns in any order
    pattern := a loop with holes in the place of the columns, rows and constants that it names
    group   := (loop, ...)                  of one pattern, one after the other; or any loop by itself

A network of many small populations has hundreds of loops and a handful of patterns. What a compiler takes long over is
text: loops of one pattern are written once, with a table of where each of them reads and writes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import networkx as nx

from graphbptt.codegen.arguments import Constant
from graphbptt.ir.expression import Expression, Load, calls, leaves, substitute
from graphbptt.ir.operations import Assignment, Row, View, views_in

__all__ = ["Loop", "Slot", "arrange_loops", "list_loops"]

FEWEST = 8
"""So many loops of one pattern are written as one. Fewer keep addresses that are constants, and are a little faster."""

MOST = 60
"""A loop with more loads, calls and stores is taken apart, where what it computes is not shared."""

Slot = View | Row | Constant

Locate = Callable[[View], Hashable]
"""Takes a view, and gives the memory in which it has its columns."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Assignments of `width` columns each, along which what is `narrow` columns wide is repeated.

    `hoisted` are their expressions, what rows alone decide taken out; `slots` is what the loop reads and writes:
    loops of one pattern have as many, in the same order.
    """

    items: tuple[Assignment, ...]
    width: int
    narrow: int
    hoisted: tuple[Expression, ...]
    slots: tuple[Slot, ...]

    @staticmethod
    def of(items: Iterable[Assignment], width: int, narrow: int) -> Loop:
        items = tuple(items)
        hoisted = tuple(hoist(item.expression) for item in items)
        return Loop(items, width, narrow, hoisted, _list_slots(items, hoisted))


def list_loops(items: Iterable[Assignment], locate: Locate) -> list[Loop]:
    """A loop for all assignments of one shape; where there are several, those that only write come first.

    No column of a loop writes what another one of it writes; that none reads it either is what `Compute` promises.
    `locate` says in which memory of a row a view has its columns.
    """
    shapes: defaultdict[tuple[int, int], list[Assignment]] = defaultdict(list)
    for item in items:
        shapes[item.out.width, _narrowest(item)].append(item)
    if len(shapes) == 1:
        ((shape, some),) = shapes.items()
        if not _is_long(some) and len(_part_overlapping(some, locate)) == 1:
            return [Loop.of(some, *shape)]
    return [
        Loop.of(part, *shape)
        for adds in (False, True)
        for shape, some in shapes.items()
        for sharing in _take_apart([item for item in some if item.accumulate == adds])
        for part in _part_overlapping(sharing, locate)
    ]


def _narrowest(item: Assignment) -> int:
    """The width of the narrowest load that is repeated along the result, single numbers aside."""
    slots = (leaf.slot for leaf in leaves(item.expression) if isinstance(leaf, Load))
    widths = [slot.width for slot in slots if isinstance(slot, View | Row) and slot.width > 1]
    return min([item.out.width, *widths])


def _is_long(items: Sequence[Assignment]) -> bool:
    expressions = [item.expression for item in items]
    loads = {leaf for expression in expressions for leaf in leaves(expression)}
    return len(loads) + len(calls(expressions)) + len(items) > MOST


def _take_apart(items: Sequence[Assignment]) -> Iterable[Sequence[Assignment]]:
    """All of them, if there are any; of many, those together that have something to compute in common."""
    if not items or not _is_long(items):
        return [items] if items else []
    sharing: nx.utils.UnionFind[object] = nx.utils.UnionFind()
    parts: defaultdict[object, list[Assignment]] = defaultdict(list)
    for item in items:
        sharing.union(item, *calls([hoist(item.expression)]))
    for item in items:
        parts[sharing[item]].append(item)
    return parts.values()


@dataclass(slots=True)
class _Part:
    """Assignments of one width, none of which writes only some of the columns of another one."""

    items: list[Assignment] = field(default_factory=list)
    starts: set[tuple[Hashable, int]] = field(default_factory=set)
    written: dict[Hashable, int] = field(default_factory=dict)

    def takes(self, memory: Hashable, out: View) -> bool:
        return (memory, out.start) in self.starts or not self.written.get(memory, 0) & _mark_columns(out)

    def add(self, memory: Hashable, item: Assignment) -> None:
        self.items.append(item)
        self.starts.add((memory, item.out.start))
        self.written[memory] = self.written.get(memory, 0) | _mark_columns(item.out)


def _part_overlapping(items: Sequence[Assignment], locate: Locate) -> list[list[Assignment]]:
    """Few parts of assignments of one width, in each of which outs are the same columns or have none in common."""
    parts: list[_Part] = []
    for item in items:
        memory = locate(item.out)
        part = next((part for part in parts if part.takes(memory, item.out)), None)
        if part is None:
            part = _Part()
            parts.append(part)
        part.add(memory, item)
    return [part.items for part in parts]


def _mark_columns(view: View) -> int:
    """Columns as the bits of a number."""
    return ((1 << view.width) - 1) << view.start


def hoist(expression: Expression) -> Expression:
    """With what rows of the vector alone decide as loads of their own: they are computed once per sequence."""
    found: dict[Expression, Expression] = {}
    for call in calls([expression]):
        rows = [leaf.slot for leaf in leaves(call) if isinstance(leaf, Load)]
        if rows and all(isinstance(row, Row) for row in rows):
            found[call] = Load(Constant(max(row.width for row in rows if isinstance(row, Row)), call))
    return substitute(expression, found)


def _list_slots(items: Iterable[Assignment], hoisted: Iterable[Expression]) -> tuple[Slot, ...]:
    slots: dict[Slot, None] = {}
    for item, expression in zip(items, hoisted, strict=True):
        slots[item.out] = None
        for leaf in leaves(expression):
            assert isinstance(leaf, Load)
            assert isinstance(leaf.slot, Slot)
            slots[leaf.slot] = None
    return tuple(slots)


@dataclass(frozen=True, slots=True)
class _Hole:
    """A slot in a pattern: any columns of an array that are so many, the same wherever the number is."""

    number: int
    array: str
    width: int


_Pattern = tuple[int, int, tuple[tuple[Expression, Expression, bool], ...]]


def _find_pattern(loop: Loop) -> _Pattern:
    holes: dict[Expression, Expression] = {
        Load(slot): Load(
            _Hole(number, slot.buffer if isinstance(slot, View) else type(slot).__name__, slot.width)
        )
        for number, slot in enumerate(loop.slots)
    }
    results = [
        (holes[Load(item.out)], substitute(expression, holes), item.accumulate)
        for item, expression in zip(loop.items, loop.hoisted, strict=True)
    ]
    return loop.width, loop.narrow, tuple(results)


def arrange_loops(loops: Sequence[Loop], locate: Locate) -> list[tuple[Loop, ...]]:
    """Groups that, one after the other, compute what the loops do one after the other.

    A loop joins those of its pattern unless one in between meets it: writes what it uses, or uses what it writes.
    """
    patterns = [_find_pattern(loop) for loop in loops]
    count = Counter(patterns)
    latest: dict[_Pattern, int] = {}
    groups: list[list[Loop]] = []
    used: list[_Columns] = []
    for loop, pattern in zip(loops, patterns, strict=True):
        columns = _Columns.of(loop, locate)
        place = latest.get(pattern) if count[pattern] >= FEWEST else None
        if place is None or any(columns.meet(others) for others in used[place + 1 :]):
            latest[pattern] = place = len(groups)
            groups.append([])
            used.append(_Columns())
        groups[place].append(loop)
        used[place].add(columns)
    return [
        part
        for group in groups
        for part in ([tuple(group)] if len(group) >= FEWEST else [(loop,) for loop in group])
    ]


@dataclass(slots=True)
class _Columns:
    """What loops read and write: by memory, columns as the bits of a number."""

    read: dict[Hashable, int] = field(default_factory=dict)
    written: dict[Hashable, int] = field(default_factory=dict)

    @staticmethod
    def of(loop: Loop, locate: Locate) -> _Columns:
        columns = _Columns()
        for item in loop.items:
            for view in views_in(item.expression):
                columns._add(columns.read, locate(view), _mark_columns(view))
            columns._add(columns.written, locate(item.out), _mark_columns(item.out))
        return columns

    def add(self, others: _Columns) -> None:
        for known, more in ((self.read, others.read), (self.written, others.written)):
            for memory, bits in more.items():
                self._add(known, memory, bits)

    def meet(self, others: _Columns) -> bool:
        pairs = ((self.read, others.written), (self.written, others.read), (self.written, others.written))
        return any(bits & other.get(memory, 0) for one, other in pairs for memory, bits in one.items())

    @staticmethod
    def _add(known: dict[Hashable, int], memory: Hashable, bits: int) -> None:
        known[memory] = known.get(memory, 0) | bits
