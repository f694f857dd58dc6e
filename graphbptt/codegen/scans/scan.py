"""A sweep of a stage as C: one function for each direction.

    scan := void name(steps, size, begin, end, block, arrays)       examples begin to end of a batch of `size`

Widths and strides are constants, the numbers of steps and of examples are not. Between products the work goes example
by example, operation by operation, so that the units of one stay in the first cache. No example meets another one: a
batch is split between cores for a whole sequence. `block` is how many steps are prepared at a time for a loop: one,
unless the examples are the whole batch. What is left to others are derivatives of weights, in which all examples meet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphbptt.codegen.arguments import Argument
from graphbptt.codegen.lookup import Lookup
from graphbptt.codegen.name_arguments import Arguments
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.products.entries import has_narrow_indices
from graphbptt.codegen.products.product import PackedProduct
from graphbptt.codegen.rows.rows import RowOperation, RowWriter
from graphbptt.codegen.scans.loops import LoopWriter
from graphbptt.codegen.text import block, comment
from graphbptt.ir.lifetimes import is_written_once
from graphbptt.ir.operations import Contract, Operation, Product, Reduce
from graphbptt.ir.plan import Matrix, Plan, Stage, Sweep
from graphbptt.ir.plan_costs import count_flops

__all__ = ["Scan", "can_emit", "emit_scan"]


@dataclass(frozen=True, slots=True)
class Scan:
    """A C function: its name, its lines, what it is given, the functions of the prelude and the products that it calls.

    `table_rows` says how many of the lines are those of tables.
    `sweep` is what it does, of a sweep that may have more; `flops` count the work of a step and example.
    """

    name: str
    lines: tuple[str, ...]
    table_rows: int
    arguments: tuple[Argument, ...]
    needs: frozenset[str]
    products: tuple[PackedProduct, ...]
    sweep: Sweep
    flops: int


def can_emit(plan: Plan, sweep: Sweep) -> bool:
    """Whether a sweep has anything to be written as C, and nothing that cannot be."""
    operations = list(_choose(plan, sweep).operations())
    return bool(operations) and all(_can_write(plan, operation) for operation in operations)


def _can_write(plan: Plan, operation: Operation) -> bool:
    if not isinstance(operation, Product):
        return isinstance(operation, RowOperation)
    weights = plan.weights[operation.weights]
    return isinstance(weights, Matrix) or has_narrow_indices(weights)


def emit_scan(name: str, lookup: Lookup, stage: Stage, backward: bool, precision: Precision) -> Scan:
    """One direction of a stage."""
    plan = lookup.plan
    sweep = _choose(plan, stage.backward if backward else stage.forward)
    arguments = Arguments(lookup)
    rows = RowWriter(arguments, precision, name)
    writer = LoopWriter(plan, stage, arguments, rows, backward)
    loops = list(writer.write(sweep))
    parameters = ", ".join(f"ptrdiff_t {number}" for number in ("steps", "size", "begin", "end", "block"))
    head = f"void {name}({parameters}, void *const *arrays)"
    title = comment(f"{'Backward' if backward else 'Forward'}: {', '.join(stage.populations)}").strip()
    tables = [line for table in rows.tables for line in table]
    lines = (title, *tables, *block(head, [*arguments.declarations(), *loops]), "")
    flops = count_flops(plan, sweep.operations())
    products = tuple(writer.products)
    return Scan(name, lines, len(tables), tuple(arguments), frozenset(rows.needs), products, sweep, flops)


def _choose(plan: Plan, sweep: Sweep) -> Sweep:
    """Without what is written once, and without derivatives of weights."""

    def keep(operations: Iterable[Operation]) -> tuple[Operation, ...]:
        return tuple(
            operation
            for operation in operations
            if not isinstance(operation, Contract | Reduce) and not is_written_once(plan, operation)
        )

    return Sweep(keep(sweep.before), sweep.each, keep(sweep.after))
