"""Loops over columns that differ in nothing but where they read and write, as one in C: the table of where that is.

    table   := static const int places[loops][numbers] = {{120, -2, 28}, ...};
    pointer := const real *const in1 = &h[(row + at[1] * size) * 40 + at[2]];       at: a row of the table

What is the same in all rows of the table is written in the text instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from graphbptt.codegen.arguments import Constant, Vector
from graphbptt.codegen.name_arguments import Arguments, Place
from graphbptt.codegen.rows.alike import Loop, Slot
from graphbptt.ir.operations import Row, View

__all__ = ["Table", "tabulate"]

LARGEST_INT = 2**31 - 1

Vary = Callable[[Sequence[int]], str]
"""Takes a number of each loop, and gives it as text."""


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers, a row for each loop; the pointers made of a row; their names, by the slots of the first loop."""

    rows: tuple[tuple[int, ...], ...]
    pointers: tuple[str, ...]
    names: dict[Slot, str]

    @property
    def type(self) -> str:
        """A C type that holds all numbers."""
        return (
            "int" if all(abs(number) <= LARGEST_INT for row in self.rows for number in row) else "ptrdiff_t"
        )


def tabulate(arguments: Arguments, loops: Sequence[Loop]) -> Table:
    """The table of loops of one pattern."""
    columns: dict[tuple[int, ...], str] = {}

    def vary(numbers: Sequence[int]) -> str:
        if len(set(numbers)) == 1:
            return str(numbers[0])
        return columns.setdefault(tuple(numbers), f"at[{len(columns)}]")

    written = {item.out for item in loops[0].items}
    names: dict[Slot, str] = {}
    pointers = []
    for slots in zip(*(loop.slots for loop in loops), strict=True):
        is_written = slots[0] in written
        name = names[slots[0]] = f"{'out' if is_written else 'in'}{len(names)}"
        address = _find_address(arguments, slots, vary)
        pointers.append(f"{'real' if is_written else 'const real'} *const {name} = {address};")
    return Table(tuple(zip(*columns, strict=True)), tuple(pointers), names)


def _find_address(arguments: Arguments, slots: Sequence[Slot], vary: Vary) -> str:
    """Where the first column of a slot lies, one of each loop, all of one kind."""
    if isinstance(slots[0], View):
        return _find_column(arguments, cast(Sequence[View], slots), vary)
    if isinstance(slots[0], Row):
        start = vary([row.start for row in cast(Sequence[Row], slots)])
        return f"&{arguments.name(Vector())}[{start}]"
    return f"arrays[{vary([arguments.index(constant) for constant in cast(Sequence[Constant], slots)])}]"


def _find_column(arguments: Arguments, views: Sequence[View], vary: Vary) -> str:
    start, shifts = vary([view.start for view in views]), [view.shift for view in views]
    if len(set(shifts)) == 1:
        return f"&{arguments.column(replace(views[0], start=0), start)}"
    later = f"{vary(shifts)} * size"
    at = Place(f"(row + {later})", f"(block_row + {later})")
    return f"&{arguments.column(replace(views[0], start=0, shift=0), start, at)}"
