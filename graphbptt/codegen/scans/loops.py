"""The loops of a sweep as C.

    loops := blocks(before, steps(each)) blocks(after)...               where all operations are at the same step
           | blocks(before) iterations(each) blocks(after)...           where some lag behind others
           | blocks(before) | blocks(steps(before))                     where nothing recurs
    blocks := for each block of steps: product rows ...                 products and loops over rows (step, example)
    steps, iterations := for each: product rows ...                     products and loops over examples

What a loop over steps reads is computed a block of steps ahead of it, to be still in a cache. A block has one step
where the examples are only some of the batch: their rows at different steps are not neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import cast

from graphbptt.codegen.arguments import Entries, EntryPart, Packed, Turned
from graphbptt.codegen.name_arguments import ROW, Arguments, Place
from graphbptt.codegen.products.choose_product import choose_product
from graphbptt.codegen.products.guards import find_guards
from graphbptt.codegen.products.product import PackedProduct
from graphbptt.codegen.rows.rows import RowOperation, RowWriter
from graphbptt.codegen.text import block, comment, remark
from graphbptt.ir.operations import Operation, Product, View, views_of
from graphbptt.ir.plan import Matrix, Plan, Stage, Sweep

__all__ = ["LoopWriter"]

AT_STEP = Place("(t * size + begin)", "((t - first) * size + begin)")
AT_BLOCK = Place("(first * size + begin)", "begin")
"""Where the first example lies, in a loop over steps and in front of it."""

ROWS_OF_STEP = ("for (ptrdiff_t b = begin; b < end; b++)", "t * size + b")
ROWS_OF_BLOCK = ("for (ptrdiff_t b = 0; b < rows; b++)", "first * size + begin + b")
"""A loop over examples, or over steps and examples, and where each of them lies."""

MOST_LINES = 80
"""About how long a loop over examples gets: what a compiler takes for one grows with the square."""


class LoopWriter:
    """Writes the loops of one sweep of a stage, and collects the products that they call.

    `in_reverse` says that the stage scans from the last step, `backward` that the sweep goes against the scan.
    """

    def __init__(
        self, plan: Plan, stage: Stage, arguments: Arguments, rows: RowWriter, backward: bool
    ) -> None:
        self.plan = plan
        self.arguments = arguments
        self.rows = rows
        self.in_reverse = stage.mode == "reverse"
        self.backward = backward
        self.guards = find_guards(plan, stage)
        self.products: dict[PackedProduct, None] = {}

    def write(self, sweep: Sweep) -> Iterator[str]:
        """All loops of a sweep."""
        lag = max((phase for phase, _ in sweep.each), default=0)
        if lag:
            if sweep.before:
                yield from self._write_blocks(sweep.before)
            yield from self._write_iterations(sweep, lag)
        elif sweep.each:
            ahead, inside = _split_before(sweep.before)
            yield from self._write_blocks(ahead, [*inside, *(operation for _, operation in sweep.each)])
        elif _adds_elsewhere(sweep.before):
            yield from self._write_blocks((), sweep.before)
        elif sweep.before:
            yield from self._write_blocks(sweep.before)
        for group in _group_by_step(sweep.after):
            yield from self._write_blocks(group)

    def _write_blocks(self, whole: Sequence[Operation], by_step: Sequence[Operation] = ()) -> list[str]:
        """A loop over blocks of steps: operations on all steps of a block, and then some step by step."""
        upward = "ptrdiff_t first = 0; first < steps; first += block"
        downward = "ptrdiff_t first = (steps - 1) / block * block; first >= 0; first -= block"
        lines = ["const ptrdiff_t last = first + block < steps ? first + block : steps;"]
        if whole:
            lines += [
                "const ptrdiff_t rows = (last - first - 1) * size + end - begin;",
                *self._write_whole(whole),
            ]
        if by_step:
            lines += self._write_steps(by_step)
        return block(f"for ({downward if self.in_reverse != self.backward else upward})", lines)

    def _write_whole(self, operations: Sequence[Operation]) -> list[str]:
        """Operations on all steps of a block at once."""
        return self._write_operations(operations, "rows", AT_BLOCK, ROWS_OF_BLOCK)

    def _write_steps(self, operations: Sequence[Operation]) -> list[str]:
        """All operations of a step, step by step through a block."""
        upward, downward = "ptrdiff_t t = first; t < last; t++", "ptrdiff_t t = last - 1; t >= first; t--"
        head = f"for ({downward if self.in_reverse != self.backward else upward})"
        return block(head, self._write_step(operations))

    def _write_iterations(self, sweep: Sweep, lag: int) -> list[str]:
        """Operations that are as many steps behind the iteration as their phase says."""
        inner: list[str] = []
        for phase, group in groupby(sweep.each, key=lambda item: item[0]):
            step = f"i - {phase}" if phase else "i"
            time = f"const ptrdiff_t t = {f'steps - 1 - ({step})' if self.in_reverse else step};"
            operations = self._write_step([operation for _, operation in group])
            inner += block(f"if ({step} >= 0 && {step} < steps)", [time, *operations])
        last = f"steps + {lag}"
        head = (
            f"ptrdiff_t i = {last} - 1; i >= 0; i--" if self.backward else f"ptrdiff_t i = 0; i < {last}; i++"
        )
        return block(f"for ({head})", inner)

    def _write_step(self, operations: Sequence[Operation]) -> list[str]:
        return self._write_operations(operations, "end - begin", AT_STEP, ROWS_OF_STEP)

    def _write_operations(
        self, operations: Sequence[Operation], count: str, at: Place, rows: tuple[str, str]
    ) -> list[str]:
        """Products of `count` rows, what lies between them row by row."""
        lines: list[str] = []
        for is_product, group in groupby(operations, key=lambda operation: isinstance(operation, Product)):
            if is_product:
                lines += [line for operation in group for line in self._write_product(operation, count, at)]
            else:
                lines += self._write_rows(group, *rows)
        return lines

    def _write_rows(self, operations: Iterable[Operation], head: str, row: str) -> list[str]:
        group = cast(Sequence[RowOperation], list(operations))
        places = ["ONE_ROW", f"const ptrdiff_t row = {row};"]
        in_block = f"const ptrdiff_t {ROW.in_block} = {ROW.row} - first * size;"
        lines: list[str] = []
        for piece in _join_pieces(self.rows.write_pieces(group, row == ROWS_OF_STEP[1])):
            reads_block = any(ROW.in_block in line for line in piece)
            lines += block(head, [*places, *([in_block] if reads_block else []), *piece])
        return lines

    def _write_product(self, product: Operation, count: str, at: Place) -> Iterator[str]:
        assert isinstance(product, Product)
        yield from remark(self.arguments.explain(product))
        if isinstance(self.plan.weights[product.weights], Matrix):
            yield from self._write_dense(product, count, at)
        else:
            yield from self._write_sparse(product, count, at)

    def _write_dense(self, product: Product, count: str, at: Place) -> Iterator[str]:
        packed = Packed(product.weights, product.transposed, product.source.width, product.out.width)
        function = choose_product(self.plan, product, self.guards)
        self.products[function] = None
        source, out = (self._locate(view, at) for view in (product.source, product.out))
        yield f"{function.name}({count},"
        yield f"    {source}, {self.arguments.name(packed)},"
        if product in self.guards:
            guard = self.guards[product]
            note = comment(f"only where {self.arguments.texts.view(guard)} is not 0")
            yield f"    {self._locate(guard, at)},{note}"
        yield f"    {out}, {int(product.accumulate)});"

    def _write_sparse(self, product: Product, count: str, at: Place) -> Iterator[str]:
        name, depth = self.arguments.name, product.source.width
        parts: tuple[EntryPart, ...] = ("starts", "sources", "values")
        entries = ", ".join(name(Entries(product.weights, product.transposed, part)) for part in parts)
        yield f"multiply_entries({count}, {depth}, {product.out.width},"
        yield f"    {self._locate(product.source, at)}, {entries},"
        yield f"    {name(Turned(depth))},"
        yield f"    {self._locate(product.out, at)}, {int(product.accumulate)});"

    def _locate(self, view: View, at: Place) -> str:
        """Where a view begins, and how far its next row is."""
        return f"&{self.arguments.column(view, '0', at)}, {self.arguments.stride(view)}"


def _join_pieces(pieces: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """Pieces for one loop over examples after the other, none of which gets long if it has more than one."""
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines) + len(piece) > MOST_LINES:
            yield lines
            lines = []
        lines += piece
    if lines:
        yield lines


def _split_before(before: Sequence[Operation]) -> tuple[Sequence[Operation], Sequence[Operation]]:
    """What comes ahead of a loop, up to the last product, and what follows it, which the loop does step by step.

    The loop reads nothing of these that belongs to a step it has yet to reach: they may come in blocks of steps,
    however short.
    """
    count = len(before)
    while count and not isinstance(before[count - 1], Product):
        count -= 1
    return before[:count], before[count:]


def _adds_elsewhere(operations: Sequence[Operation]) -> bool:
    """Whether something is added to rows of other steps: the order of such a sum must not depend on blocks."""
    return any(
        write.how == "add" and write.view.shift for operation in operations for write in operation.writes()
    )


def _group_by_step(operations: Sequence[Operation]) -> list[list[Operation]]:
    """Neighbours that can take turns, block by block: those that meet in rows of the same step only."""
    groups: list[list[Operation]] = []
    for operation in operations:
        if groups and all(_meet_in_step(operation, other) for other in groups[-1]):
            groups[-1].append(operation)
        else:
            groups.append([operation])
    return groups


def _meet_in_step(one: Operation, other: Operation) -> bool:
    """Whether the columns that one of them writes and the other uses are shifted alike."""
    return all(
        write.view.buffer != view.buffer or write.view.shift == view.shift
        for writer, user in ((one, other), (other, one))
        for write in writer.writes()
        for view in views_of(user)
    )
