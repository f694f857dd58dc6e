"""Element-wise operations on the units of one example, in C: loops over columns.

Loops that differ in nothing but where they read and write are one, from eight on, which goes through a table:

    static const int places_0[100][3] = {
        {120, -2, 28},  // net0[0] += 15->0 * 15[t-2]
        ...
    };
    for (ptrdiff_t k = 0; k < 100; k++) {
        const int *const at = places_0[k];
        ...
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from graphbptt.codegen.arguments import Vector
from graphbptt.codegen.name_arguments import Arguments
from graphbptt.codegen.pointwise import Access, Store, elementary_needs, emit_stores
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.rows.alike import Loop, Slot, arrange_loops, list_loops
from graphbptt.codegen.rows.tables import tabulate
from graphbptt.codegen.text import block, comment, remark, spell_place
from graphbptt.ir.expression import Expression, Leaf, Load
from graphbptt.ir.operations import Assignment, Compute, Row, View

__all__ = ["ComputeWriter", "column_loop", "is_there"]

NAMELESS: Mapping[Slot, str] = MappingProxyType({})


class ComputeWriter:
    """Writes element-wise operations; collects the functions of the prelude that they call, and their tables.

    The names of tables begin with `name`.
    """

    def __init__(self, arguments: Arguments, precision: Precision, name: str) -> None:
        self.arguments = arguments
        self.precision = precision
        self.name = name
        self.needs: set[str] = set()
        self.tables: list[list[str]] = []

    def write(self, compute: Compute) -> list[str]:
        """One operation as it stands."""
        return [line for loop in self._list_loops(compute) for line in self._write_loop(loop)]

    def write_pieces(self, computes: Iterable[Compute], by_step: bool) -> Iterator[list[str]]:
        """Neighbouring operations one loop after the other, each with what it does as a comment.

        `by_step` says that all is done for one step before it is for another: then rows that are some steps away lie
        in other memory than those of the step.
        """

        def locate(view: View) -> Hashable:
            return self.arguments.home(view), by_step and view.shift

        loops = [loop for compute in computes for loop in self._list_loops(compute)]
        for group in arrange_loops(loops, locate):
            if len(group) > 1:
                yield self._write_alike(group)
            else:
                yield [*remark(self._explain(group[0])), *self._write_loop(group[0])]

    def _list_loops(self, compute: Compute) -> list[Loop]:
        items = [item for item in compute.assignments if not is_there(self.arguments, item)]
        return list_loops(items, lambda view: (self.arguments.home(view), view.shift))

    def _explain(self, loop: Loop) -> list[str]:
        return self.arguments.explain(Compute(loop.items))

    def _write_alike(self, loops: Sequence[Loop]) -> list[str]:
        """Loops of one pattern as one."""
        table = tabulate(self.arguments, loops)
        name, count = f"{self.name}_places_{len(self.tables)}", len(loops)
        rows = [
            f"{{{', '.join(map(str, row))}}},{comment('; '.join(self._explain(loop)))}"
            for row, loop in zip(table.rows, loops, strict=True)
        ]
        *head, end = block(f"static const {table.type} {name}[{count}][{len(table.rows[0])}] =", rows)
        self.tables.append([*head, f"{end};"])
        at = f"const {table.type} *const at = {name}[k];"
        return block(column_loop(count, "k"), [at, *table.pointers, *self._write_loop(loops[0], table.names)])

    def _write_loop(self, loop: Loop, names: Mapping[Slot, str] = NAMELESS) -> list[str]:
        """A loop, or what it would do once; what is in `names` is read by a pointer to its first column."""
        width, narrow = loop.width, loop.narrow
        column = "j" if width > 1 else "0"

        def access(leaf: Leaf) -> Access:
            """A load; one that is narrower than the result is repeated along it."""
            assert isinstance(leaf, Load)
            assert isinstance(leaf.slot, Slot)
            size = leaf.slot.width
            repeated = {1: "0", narrow: "i", width: "j"}
            return self._access(
                leaf.slot, column if size == width else repeated.get(size, f"j % {size}"), names
            )

        stores = [
            self._store(item, expression, column, names)
            for item, expression in zip(loop.items, loop.hoisted, strict=True)
        ]
        self.needs.update(elementary_needs([store.expression for store in stores]))
        lines = emit_stores(stores, access, self.precision)
        if width == 1:
            return block("", lines)
        if narrow == width:
            return ["INDEPENDENT", *block(column_loop(width), lines)]
        inner = [f"const ptrdiff_t j = lane * {narrow} + i;", *lines]
        return block(
            column_loop(width // narrow, "lane"), ["INDEPENDENT", *block(column_loop(narrow, "i"), inner)]
        )

    def _store(
        self, item: Assignment, expression: Expression, column: str, names: Mapping[Slot, str]
    ) -> Store:
        target, note = self._access(item.out, column, names).text, self.arguments.texts.result(item.out)
        more = ", ..." if item.out in names else ""
        return Store(target, expression, item.accumulate, note + more)

    def _access(self, slot: Slot, index: str, names: Mapping[Slot, str]) -> Access:
        """A column of a slot."""
        texts = self.arguments.texts
        if isinstance(slot, View):
            access = Access(self.arguments.column(slot, index), texts.view(slot))
        elif isinstance(slot, Row):
            access = Access(
                f"{self.arguments.name(Vector())}[{spell_place('0', 1, slot.start, index)}]", texts.row(slot)
            )
        else:
            access = Access(f"{self.arguments.name(slot)}[{index}]", texts.expression(slot.expression))
        return Access(f"{names[slot]}[{index}]", f"{access.note}, ...") if slot in names else access


def is_there(arguments: Arguments, item: Assignment) -> bool:
    """Whether an assignment copies states to the memory in which they are."""
    slot = item.expression.slot if isinstance(item.expression, Load) else None
    return isinstance(slot, View) and not item.accumulate and arguments.are_same(slot, item.out)


def column_loop(width: int, index: str = "j") -> str:
    """The head of a loop over columns."""
    return f"for (ptrdiff_t {index} = 0; {index} < {width}; {index}++)"
