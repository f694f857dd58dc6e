"""Derivatives of biases in C: the sum of a delta over all steps and examples."""

from __future__ import annotations

from string import Template

from graphbptt.codegen.precision import Precision
from graphbptt.codegen.products.contraction import DEPTH
from graphbptt.codegen.products.vectors import VectorUnit
from graphbptt.ir.expression import Load
from graphbptt.ir.operations import Operation, Reduce, View
from graphbptt.ir.plan import Plan

__all__ = ["emit_sum", "has_sums", "is_plain_sum"]


def has_sums(plan: Plan) -> bool:
    """Whether ``sum_rows`` is called for a plan."""
    return any(is_plain_sum(operation) for stage in plan.stages for operation in stage.backward.operations())


def is_plain_sum(operation: Operation) -> bool:
    """Whether an operation adds up columns of a buffer as they are."""
    if not isinstance(operation, Reduce) or not isinstance(operation.expression, Load):
        return False
    slot = operation.expression.slot
    return isinstance(slot, View) and slot.width == operation.row.width


SUM = """\
/* out = the sum of rows, added up by the same number of rows at a time as tiles. */
void sum_rows(ptrdiff_t rows, ptrdiff_t width, const real *restrict in, ptrdiff_t stride, real *restrict out) {
    for (ptrdiff_t first = 0; first < width; first += $panel) {
        const ptrdiff_t columns = width - first < $panel ? width - first : $panel;
        ptrdiff_t done = 0;
        do {
            const ptrdiff_t depth = rows - done < $depth ? rows - done : $depth;
            const real *from = in + done * stride + first;
            real sums[$panel] = {0};
            for (ptrdiff_t row = 0; row < depth; row++, from += stride)
                for (ptrdiff_t j = 0; j < columns; j++) sums[j] += from[j];
            for (ptrdiff_t j = 0; j < columns; j++) out[first + j] = done ? out[first + j] + sums[j] : sums[j];
            done += depth;
        } while (done < rows);
    }
}
"""


def emit_sum(unit: VectorUnit, precision: Precision) -> list[str]:
    """The lines of ``sum_rows``."""
    numbers = {"depth": DEPTH, "panel": unit.lanes(precision) * unit.tile[1]}
    return [*Template(SUM).substitute(numbers).splitlines(), ""]
