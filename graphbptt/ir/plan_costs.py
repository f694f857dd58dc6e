"""What a plan costs: floating-point operations and bytes, as functions of the number of steps and of examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from graphbptt.ir.expression import Expression, calls
from graphbptt.ir.operations import (
    Compute,
    Contract,
    Operation,
    Perturb,
    Product,
    Reduce,
    Softmax,
    SoftmaxGradient,
)
from graphbptt.ir.plan import Buffer, Matrix, Plan

__all__ = ["Memory", "count_flops", "count_zeros", "measure_buffers", "measure_weights"]


INDEX_BYTES = 4
"""The bytes of a column's number, and of where a row begins."""


def count_flops(plan: Plan, operations: Iterable[Operation]) -> int:
    """Operations per step and example. A product takes a multiplication and an addition for each weight that is kept,
    zeros of matrices included; every element-wise function counts as one."""
    return sum(_count_flops(plan, operation) for operation in operations)


def _count_flops(plan: Plan, operation: Operation) -> int:
    if isinstance(operation, Product | Contract):
        weights = plan.weights[operation.weights]
        out = operation.out if isinstance(operation, Product) else operation.delta
        kept = operation.source.width * out.width if isinstance(weights, Matrix) else weights.pattern.size
        return 2 * kept
    if isinstance(operation, Softmax):  # the maximum, the difference, its power, the sum, the quotient
        return 5 * operation.out.width
    if isinstance(operation, SoftmaxGradient):
        return operation.out.width * (4 + operation.accumulate)
    if isinstance(operation, Perturb):
        return operation.out.width * (1 + operation.accumulate)
    if isinstance(operation, Compute):
        return sum(
            item.out.width * (_count_calls(item.expression) + item.accumulate)
            for item in operation.assignments
        )
    if isinstance(operation, Reduce):
        return operation.row.width * (_count_calls(operation.expression) + 1)
    return 0


def _count_calls(expression: Expression) -> int:
    return len(calls([expression]))


def count_zeros(matrix: Matrix) -> int:
    """How many numbers of a matrix no connection fills."""
    filled = np.zeros((matrix.rows, matrix.columns), bool)
    for entry in matrix.entries:
        filled[entry.places()] = True
    return int(filled.size - np.count_nonzero(filled))


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes for each example: `per_step` for every step, `around` for the rows before the first and behind the last.

    >>> print(Memory(40, 80), Memory(40), Memory(40, 80).total(steps=3, batch=2))
    B * (40 T + 80) 40 B T 400
    """

    per_step: int
    around: int = 0

    def total(self, steps: int, batch: int) -> int:
        return batch * (self.per_step * steps + self.around)

    def __str__(self) -> str:
        return f"B * ({self.per_step} T + {self.around})" if self.around else f"{self.per_step} B T"


def measure_buffers(buffers: Iterable[Buffer], itemsize: int) -> Memory:
    """The memory of some buffers together."""
    per_step = around = 0
    for buffer in buffers:
        per_step += buffer.width
        around += buffer.width * (buffer.before + buffer.after)
    return Memory(per_step * itemsize, around * itemsize)


def measure_weights(plan: Plan, itemsize: int) -> int:
    """The bytes of the packed matrices, blocks and vector; an entry of a block has its column beside it."""
    numbers = sum(matrix.rows * matrix.columns for matrix in plan.matrices) + plan.vector_width
    return itemsize * numbers + sum(
        block.pattern.size * (itemsize + INDEX_BYTES) + (block.rows + 1) * INDEX_BYTES
        for block in plan.blocks
    )
