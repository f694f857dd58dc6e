"""The softmax of a row and its derivative, in C: all units by one thread, or shared out between lanes.

Exponentials are computed in a loop of their own, which compilers vectorise; they do not reorder a sum.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphbptt.codegen.lanes import lane_loop
from graphbptt.codegen.name_arguments import Arguments
from graphbptt.codegen.rows.computes import column_loop
from graphbptt.codegen.text import block
from graphbptt.ir.operations import Softmax, SoftmaxGradient

__all__ = ["SOFTMAX_NEEDS", "write_softmax"]

SOFTMAX_NEEDS = ("real_exp", "real_maximum")
"""What of the prelude it calls."""


def write_softmax(arguments: Arguments, operation: Softmax | SoftmaxGradient, lanes: bool) -> list[str]:
    """Statements that know ``row`` and, where `lanes` share it, the lane ``j``."""
    width = operation.out.width
    loop = lane_loop(width) if lanes else column_loop(width, "k")
    # A thread that has all units has nothing to join.
    write = _write_value if isinstance(operation, Softmax) else _write_gradient
    lines = write(arguments, operation, loop)
    return block("", (line for line in lines if lanes or not line.startswith("JOIN_LANES")))


def _write_value(arguments: Arguments, operation: Softmax | SoftmaxGradient, loop: str) -> Iterator[str]:
    assert isinstance(operation, Softmax)
    yield f"const real *const source = &{arguments.column(operation.source, '0')};"
    yield f"real *const out = &{arguments.column(operation.out, '0')};"
    yield "real largest = -INFINITE, sum = 0;"
    yield f"{loop} largest = real_maximum(largest, source[k]);"
    yield "JOIN_LANES(largest, real_maximum(largest, other))"
    yield f"{loop} out[k] = real_exp(source[k] - largest);"
    yield f"{loop} sum += out[k];"
    yield "JOIN_LANES(sum, sum + other)"
    yield f"{loop} out[k] /= sum;"


def _write_gradient(arguments: Arguments, operation: Softmax | SoftmaxGradient, loop: str) -> Iterator[str]:
    assert isinstance(operation, SoftmaxGradient)
    yield f"const real *const delta = &{arguments.column(operation.delta, '0')};"
    yield f"const real *const slopes = &{arguments.column(operation.slopes, '0')};"
    yield f"const real *const probabilities = &{arguments.column(operation.probabilities, '0')};"
    yield f"real *const out = &{arguments.column(operation.out, '0')};"
    yield "real sum = 0;"
    yield f"{loop} sum += slopes[k] * delta[k];"
    yield "JOIN_LANES(sum, sum + other)"
    yield f"{loop} out[k] {'+=' if operation.accumulate else '='} slopes[k] * delta[k] - probabilities[k] * sum;"
