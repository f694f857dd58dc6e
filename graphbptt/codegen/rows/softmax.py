"""The softmax of a row and its derivative, in C: all units by one thread, or shared out between lanes.

Exponentials are computed in a loop of their own, which compilers vectorise; they do not reorder a sum.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphbptt.codegen.lanes import join_lanes, unit_loop
from graphbptt.codegen.name_arguments import Arguments
from graphbptt.codegen.text import block
from graphbptt.ir.operations import Softmax, SoftmaxGradient

__all__ = ["SOFTMAX_NEEDS", "write_softmax"]

SOFTMAX_NEEDS = ("real_exp", "real_maximum")
"""What of the prelude it calls."""


def write_softmax(arguments: Arguments, operation: Softmax | SoftmaxGradient, lanes: bool) -> list[str]:
    """Statements that know ``row`` and, where `lanes` share it, the lane ``j``."""
    match operation:
        case Softmax():
            return block("", _write_value(arguments, operation, lanes))
        case SoftmaxGradient():
            return block("", _write_gradient(arguments, operation, lanes))


def _write_value(arguments: Arguments, operation: Softmax, lanes: bool) -> Iterator[str]:
    each = unit_loop(operation.out.width, lanes)
    yield f"const real *const source = &{arguments.column(operation.source, '0')};"
    yield f"real *const out = &{arguments.column(operation.out, '0')};"
    yield "real largest = -INFINITE, sum = 0;"
    yield f"{each} largest = real_maximum(largest, source[k]);"
    yield from join_lanes("largest", "real_maximum(largest, other)", lanes)
    yield f"{each} out[k] = real_exp(source[k] - largest);"
    yield f"{each} sum += out[k];"
    yield from join_lanes("sum", "sum + other", lanes)
    yield f"{each} out[k] /= sum;"


def _write_gradient(arguments: Arguments, operation: SoftmaxGradient, lanes: bool) -> Iterator[str]:
    each, sign = unit_loop(operation.out.width, lanes), "+=" if operation.accumulate else "="
    yield f"const real *const delta = &{arguments.column(operation.delta, '0')};"
    yield f"const real *const slopes = &{arguments.column(operation.slopes, '0')};"
    yield f"const real *const probabilities = &{arguments.column(operation.probabilities, '0')};"
    yield f"real *const out = &{arguments.column(operation.out, '0')};"
    yield "real sum = 0;"
    yield f"{each} sum += slopes[k] * delta[k];"
    yield from join_lanes("sum", "sum + other", lanes)
    yield f"{each} out[k] {sign} slopes[k] * delta[k] - probabilities[k] * sum;"
