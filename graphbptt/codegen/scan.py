"""The loop over time of a stage as C: one function for each direction.

    scan := void name(steps, size, begin, end, arrays)      examples begin to end of a batch of `size`

Widths and strides are constants, the numbers of steps and of examples are not. Between products the work goes example
by example, operation by operation, so that the units of one stay in the first cache. No example meets another one: a
batch can be split between cores for a whole sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from graphbptt.codegen.arguments import Argument, Arguments, Entries, Packed, Part, Turned
from graphbptt.codegen.entries import has_narrow_indices
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.product import Product as PackedProduct
from graphbptt.codegen.rows import RowOperation, RowWriter
from graphbptt.codegen.text import block, comment
from graphbptt.ir.expression import leaves
from graphbptt.ir.operations import Compute, Operation, Product, View
from graphbptt.ir.plan import Matrix, Plan, Stage, Sweep
from graphbptt.ir.plan_costs import count_flops
from graphbptt.ir.plan_text import format_operation

__all__ = ["Scan", "can_emit", "emit_scan"]


@dataclass(frozen=True, slots=True)
class Scan:
    """A C function: its name, its lines, what it is given, and the functions of the prelude that it calls.

    `inside` are the operations on whole sequences that it does at each step, just before the loop needs them; `flops`
    count the work of a step and example.
    """

    name: str
    lines: tuple[str, ...]
    arguments: tuple[Argument, ...]
    needs: frozenset[str]
    inside: tuple[Operation, ...]
    flops: int

    @property
    def products(self) -> tuple[PackedProduct, ...]:
        return tuple(argument.product for argument in self.arguments if isinstance(argument, Packed))


def can_emit(plan: Plan, sweep: Sweep) -> bool:
    """Whether a sweep has a loop, and of operations that can be written as C."""
    return bool(sweep.each) and all(_can_write(plan, operation) for _, operation in sweep.each)


def _can_write(plan: Plan, operation: Operation) -> bool:
    if not isinstance(operation, Product):
        return isinstance(operation, RowOperation)
    weights = plan.weights[operation.weights]
    return isinstance(weights, Matrix) or has_narrow_indices(weights)


def emit_scan(name: str, plan: Plan, stage: Stage, backward: bool, precision: Precision) -> Scan:
    """The loop over time of one direction of a stage."""
    sweep = stage.backward if backward else stage.forward
    arguments = Arguments(plan)
    writer = _LoopWriter(plan, arguments, RowWriter(arguments, precision))
    in_reverse = stage.mode == "reverse"
    lag = max(phase for phase, _ in sweep.each)
    inside = () if lag else _find_inside(sweep)
    if lag:
        loop = writer.write_iterations(sweep, lag, in_reverse, backward)
    else:
        loop = writer.write_steps(
            [*inside, *(operation for _, operation in sweep.each)], in_reverse != backward
        )
    head = (
        f"void {name}(ptrdiff_t steps, ptrdiff_t size, ptrdiff_t begin, ptrdiff_t end, void *const *arrays)"
    )
    title = comment(f"{', '.join(stage.populations)}, {'backward' if backward else 'forward'}").strip()
    lines = (title, *block(head, [*arguments.declarations(), *loop]), "")
    flops = count_flops(plan, (*inside, *(operation for _, operation in sweep.each)))
    return Scan(name, lines, tuple(arguments), frozenset(writer.rows.needs), inside, flops)


def _find_inside(sweep: Sweep) -> tuple[Operation, ...]:
    """What follows the last product in front of a loop; constants, which are written once, are left where they are.

    The loop reads nothing of these that belongs to a step it has yet to reach: they may come in blocks of steps,
    however short.
    """
    inside: list[Operation] = []
    for operation in reversed(sweep.before):
        if not isinstance(operation, RowOperation):
            break
        if not isinstance(operation, Compute) or any(
            True for item in operation.assignments for _ in leaves(item.expression)
        ):
            inside.insert(0, operation)
    return tuple(inside)


class _LoopWriter:
    """Writes the loop of one sweep."""

    def __init__(self, plan: Plan, arguments: Arguments, rows: RowWriter) -> None:
        self.plan = plan
        self.arguments = arguments
        self.rows = rows

    def write_steps(self, operations: Iterable[Operation], descending: bool) -> list[str]:
        """All operations of a step, step by step."""
        head = "ptrdiff_t t = steps - 1; t >= 0; t--" if descending else "ptrdiff_t t = 0; t < steps; t++"
        return block(f"for ({head})", self._write_operations(operations))

    def write_iterations(self, sweep: Sweep, lag: int, in_reverse: bool, backward: bool) -> list[str]:
        """Operations that are as many steps behind the iteration as their phase says."""
        inner: list[str] = []
        for phase, group in groupby(sweep.each, key=lambda item: item[0]):
            step = f"i - {phase}" if phase else "i"
            time = f"const ptrdiff_t t = {f'steps - 1 - ({step})' if in_reverse else step};"
            operations = self._write_operations(operation for _, operation in group)
            inner += block(f"if ({step} >= 0 && {step} < steps)", [time, *operations])
        last = f"steps + {lag}"
        head = f"ptrdiff_t i = {last} - 1; i >= 0; i--" if backward else f"ptrdiff_t i = 0; i < {last}; i++"
        return block(f"for ({head})", inner)

    def _write_operations(self, operations: Iterable[Operation]) -> list[str]:
        """Products for all examples together, what lies between them example by example."""
        lines: list[str] = []
        for is_product, group in groupby(operations, key=lambda operation: isinstance(operation, Product)):
            if is_product:
                lines += [line for operation in group for line in self._write_product(operation)]
            else:
                rows = [line for operation in group for line in self._write_row(operation)]
                row = "const ptrdiff_t row = t * size + b;"
                lines += block("for (ptrdiff_t b = begin; b < end; b++)", [row, *rows])
        return lines

    def _write_product(self, product: Operation) -> Iterator[str]:
        assert isinstance(product, Product)
        yield from self._describe(product)
        if isinstance(self.plan.weights[product.weights], Matrix):
            yield from self._write_dense(product)
        else:
            yield from self._write_sparse(product)

    def _write_dense(self, product: Product) -> Iterator[str]:
        packed = Packed(product.weights, product.transposed, product.source.width, product.out.width)
        views = product.source, product.out
        source, out = (self._first(view) for view in views)
        source_stride, out_stride = (self.plan.buffer[view.buffer].width for view in views)
        yield f"{packed.product.name}("
        yield f"    end - begin, {source}, {source_stride}, {self.arguments.name(packed)},"
        yield f"    {out}, {out_stride}, {int(product.accumulate)});"

    def _write_sparse(self, product: Product) -> Iterator[str]:
        name, depth = self.arguments.name, product.source.width
        parts: tuple[Part, ...] = ("starts", "sources", "values")
        entries = ", ".join(name(Entries(product.weights, product.transposed, part)) for part in parts)
        source_stride, out_stride = (self.plan.buffer[v.buffer].width for v in (product.source, product.out))
        yield f"multiply_entries(end - begin, {depth}, {product.out.width},"
        yield f"    {self._first(product.source)}, {source_stride}, {entries},"
        yield f"    {name(Turned(depth))} + begin * {depth},"
        yield f"    {self._first(product.out)}, {out_stride}, {int(product.accumulate)});"

    def _first(self, view: View) -> str:
        """Where a view begins at the current step."""
        return f"&{self.arguments.column(view, '0', '(t * size + begin)')}"

    def _write_row(self, operation: Operation) -> list[str]:
        assert isinstance(operation, RowOperation)
        return [*self._describe(operation), *self.rows.write(operation)]

    def _describe(self, operation: Operation) -> list[str]:
        lines = format_operation(self.plan, self.arguments.texts, operation)
        return [comment(line).strip() for line in lines]
