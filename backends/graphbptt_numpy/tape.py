"""Operations bound to memory: a tape is a list of calls without arguments, and running it is walking the list.

Binding makes every view once, so that the loop over time allocates nothing and looks nothing up. Work on whole
sequences goes in blocks of steps, and what a loop reads is computed just before the loop reaches it, so that it is
still in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Load
from graphbptt.ir.lifetimes import is_written_once
from graphbptt.ir.operations import (
    Compute,
    Contract,
    Operation,
    Perturb,
    Product,
    Reduce,
    Restrain,
    Silence,
    Softmax,
    SoftmaxGradient,
    View,
)
from graphbptt.ir.plan import Sweep
from graphbptt_numpy.pointwise import Instruction, compile_compute, compile_expression
from graphbptt_numpy.softmax import bind_softmax, bind_softmax_gradient
from graphbptt_numpy.sparse import bind_sparse_contract, bind_sparse_product
from graphbptt_numpy.workspace import Workspace

__all__ = ["Binder", "Rows", "Tape"]

Array = npt.NDArray[Any]
Call = Callable[[], object]
Rows = tuple[int, int] | int
"""The steps that a call works on: from first to last, with a time axis, or a single one, without."""
Binder = Callable[[Rows], Iterator[Call]]

KEPT_CALLS = 100_000
"""A tape of more calls than this is bound anew at every run, call by call, instead of being kept in memory."""

CALL_BYTES = 600
"""About what a call takes in memory, with its views."""


class Tape:
    """One direction of a stage, ready to run.

    In iteration i an operation of phase p works on step i - p, counted in the stage's direction of time. The backward
    sweep walks the same iterations from the last to the first.
    """

    def __init__(self, space: Workspace, index: int, backward: bool) -> None:
        self._space = space
        stage = space.plan.stages[index]
        sweep = stage.backward if backward else stage.forward
        self._steps = space.steps
        self._in_reverse = stage.mode == "reverse"
        self._backward = backward
        self._block = space.block_length(index)
        for operation in sweep.before:
            if is_written_once(space.plan, operation):
                for call in _bind(space, operation)((1, space.steps)):
                    call()
        sweep = self._choose(sweep)
        self._before = [self._bind(space, operation) for operation in sweep.before]
        self._each = [(phase, self._bind(space, operation)) for phase, operation in sweep.each]
        self._after = [self._bind(space, operation) for operation in sweep.after]
        self._lag = max((phase for phase, _ in self._each), default=0)
        blocks = -(-space.steps // self._block)
        few = (space.steps + self._lag) * len(sweep.each) + blocks * len(sweep.before) <= KEPT_CALLS
        self._kept = list(self._calls()) if few else None

    def count_bytes(self) -> int:
        """About what the calls take that are kept."""
        return CALL_BYTES * len(self._kept or ())

    def run(self) -> None:
        for call in self.calls():
            call()

    def calls(self) -> Iterable[Call]:
        """All that it does, in order."""
        return self._calls() if self._kept is None else self._kept

    def _calls(self) -> Iterator[Call]:
        if self._lag:  # populations are at different steps: what comes before must be there for all
            for rows in self._blocks():
                yield from self._prepare(rows)
            yield from self._iterate()
        else:
            for first, last in self._blocks():
                yield from self._prepare((first, last))
                yield from self._loop(first, last)
        for bind in self._after:
            yield from bind((1, self._steps))

    def _bind(self, space: Workspace, operation: Operation) -> Binder:
        """A function from steps to the calls that do an operation there."""
        return _bind(space, operation)

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Stretches of steps, in the order in which the sweep walks them."""
        for first in self._walk(range(1, self._steps + 1, self._block), self._in_reverse != self._backward):
            yield first, min(first + self._block - 1, self._steps)

    def _walk(self, steps: range, backward: bool) -> Iterable[int]:
        return reversed(steps) if backward else steps

    def _prepare(self, rows: Rows) -> Iterator[Call]:
        for bind in self._before:
            yield from bind(rows)

    def _choose(self, sweep: Sweep) -> Sweep:
        """The operations that are called one by one."""
        plan = self._space.plan
        before = tuple(operation for operation in sweep.before if not is_written_once(plan, operation))
        return replace(sweep, before=before)

    def _loop(self, first: int, last: int) -> Iterator[Call]:
        """All operations of a step, step by step."""
        for step in self._walk(range(first, last + 1), self._in_reverse != self._backward):
            for _, bind in self._each:
                yield from bind(step)

    def _iterate(self) -> Iterator[Call]:
        """All iterations, where operations are at different steps."""
        for iteration in self._walk(range(1, self._steps + self._lag + 1), self._backward):
            for phase, bind in self._each:
                step = iteration - phase
                if 1 <= step <= self._steps:
                    yield from bind(self._steps + 1 - step if self._in_reverse else step)


def _bind(space: Workspace, operation: Operation) -> Binder:
    """A function from steps to the calls that do the operation there."""
    if isinstance(operation, Product):
        sparse = operation.weights in space.blocks
        return partial(_bind_sparse_product if sparse else _bind_product, space, operation)
    if isinstance(operation, Compute):
        return partial(_bind_instructions, space, compile_compute(operation))
    if isinstance(operation, Softmax):
        return partial(_bind_softmax, space, operation)
    if isinstance(operation, SoftmaxGradient):
        return partial(_bind_softmax_gradient, space, operation)
    if isinstance(operation, Perturb):
        return partial(_bind_perturb, space, operation)
    if isinstance(operation, Restrain):
        return partial(_bind_restrain, space, operation)
    if isinstance(operation, Silence):
        return partial(_bind_silence, space, operation)
    if isinstance(operation, Contract):
        sparse = operation.weights in space.blocks
        return partial(_bind_sparse_contract if sparse else _bind_contract, space, operation)
    return partial(_bind_reduce, space, operation)


def _bind_product(space: Workspace, product: Product, rows: Rows) -> Iterator[Call]:
    name, width = product.weights, product.out.width
    matrix = space.transposed(name, width) if product.transposed else space.matrices[name]
    lanes = len(matrix)
    source_lanes, out_lanes = (lanes, 1) if product.transposed else (1, lanes)
    source = _flat(_view(space, product.source, rows, source_lanes), source_lanes)
    out = _flat(_view(space, product.out, rows, out_lanes), out_lanes)
    if lanes > 1 and product.transposed:  # each lane contributes to the same columns
        parts = space.scratch((lanes, *out.shape))
        yield partial(np.matmul, source, matrix, parts)
        total = space.scratch(out.shape) if product.accumulate else out
        yield partial(np.add.reduce, parts, 0, None, total)
    else:
        total = space.scratch(out.shape) if product.accumulate else out
        yield _multiply(source, matrix, total)
    if product.accumulate:
        yield partial(np.add, out, total, out)


def _multiply(source: Array, matrix: Array, out: Array) -> Call:
    """A matrix product, by lanes if there are several; the method `dot` has less to check than `matmul`, but its result
    must be contiguous."""
    if len(matrix) == 1 and out.ndim == 2 and out.flags.c_contiguous:
        return partial(source.dot, matrix[0], out)
    return partial(np.matmul, source, matrix if out.ndim == 3 else matrix[0], out)


def _bind_instructions(space: Workspace, instructions: list[Instruction], rows: Rows) -> Iterator[Call]:
    for instruction in instructions:
        width = instruction.out.width
        lanes = space.count_lanes(width, instruction.memory)
        arguments = [space.resolve(place, rows, lanes, width) for place in instruction.arguments]
        out = space.resolve(instruction.out, rows, lanes, width)
        if instruction.function is not np.positive or arguments[0].ctypes.data != out.ctypes.data:
            yield _call(instruction.function, [_align(argument, out) for argument in arguments], out)


def _align(argument: Array, out: Array) -> Array:
    """The argument in the result's shape, where that is no more than other axes of one: broadcasting costs a call."""
    return argument.reshape(out.shape) if argument.size == out.size else argument


def _call(function: Callable[..., Any], arguments: list[Array], out: Array) -> Call:
    """The result goes by position, since as a keyword it costs as much as a small call; two ufuncs refuse that."""
    if function in (np.maximum, np.minimum):
        return partial(function, *arguments, out=out)
    return partial(function, *arguments, out)


def _bind_softmax(space: Workspace, operation: Softmax, rows: Rows) -> Iterator[Call]:
    source, out = _view(space, operation.source, rows), _view(space, operation.out, rows)
    return bind_softmax(source, out, space.scratch)


def _bind_softmax_gradient(space: Workspace, operation: SoftmaxGradient, rows: Rows) -> Iterator[Call]:
    delta, slopes, probabilities = (_view(space, view, rows) for view in operation.reads())
    out = _view(space, operation.out, rows)
    return bind_softmax_gradient(delta, slopes, probabilities, out, operation.accumulate, space.scratch)


def _bind_perturb(space: Workspace, operation: Perturb, rows: Rows) -> Iterator[Call]:
    out, noise = _view(space, operation.out, rows), space.noise[operation.population][_index(rows)]
    scale = space.dtype.type(operation.scale)
    if operation.accumulate:
        scaled = space.scratch(out.shape)
        yield partial(np.multiply, noise, scale, scaled)
        yield partial(np.add, out, scaled, out)
    else:
        yield partial(np.multiply, noise, scale, out)


def _bind_restrain(space: Workspace, operation: Restrain, rows: Rows) -> Iterator[Call]:
    name = operation.population
    if space.holding(name):
        state, when = _view(space, operation.state, rows), _index(rows)
        yield partial(np.copyto, state, space.holds[name][when], where=space.held[name][when])


def _bind_silence(space: Workspace, operation: Silence, rows: Rows) -> Iterator[Call]:
    for view in operation.slopes:
        slope = _view(space, view, rows)
        if operation.population is not None and space.holding(operation.population):
            yield partial(np.copyto, slope, 0, where=space.held[operation.population][_index(rows)])
        elif space.padded is not None:
            yield partial(np.copyto, slope, 0, where=space.padded[_index(rows)][..., None])


def _bind_contract(space: Workspace, operation: Contract, rows: Rows) -> Iterator[Call]:
    gradient = space.matrix_gradients[operation.weights]
    source = _flat(_view(space, operation.source, rows))
    delta = _flat(_view(space, operation.delta, rows, len(gradient)), len(gradient))
    if len(gradient) == 1:
        yield partial(source.T.dot, delta, gradient[0])
    else:
        yield partial(np.matmul, source.T, delta, gradient)


def _bind_sparse_product(space: Workspace, product: Product, rows: Rows) -> Iterator[Call]:
    for step in range(rows[0], rows[1] + 1) if isinstance(rows, tuple) else (rows,):
        source, out = _view(space, product.source, step), _view(space, product.out, step)
        block = space.blocks[product.weights]
        yield from bind_sparse_product(
            block, source, out, product.transposed, product.accumulate, space.scratch
        )


def _bind_sparse_contract(space: Workspace, operation: Contract, rows: Rows) -> Iterator[Call]:
    source, delta = _view(space, operation.source, rows), _view(space, operation.delta, rows)
    yield from bind_sparse_contract(space.blocks[operation.weights], source, delta, space.scratch)


def _bind_reduce(space: Workspace, operation: Reduce, rows: Rows) -> Iterator[Call]:
    """Evaluate and add up; a plain load is one product with a vector of ones."""
    row = space.vector_gradient[operation.row.start : operation.row.stop]
    expression, width = operation.expression, operation.row.width
    if isinstance(expression, Load) and isinstance(expression.slot, View):
        lanes = space.count_lanes(width, (expression.slot,))
        delta = _flat(_view(space, expression.slot, rows, lanes), lanes)
        ones = np.ones(delta.shape[-2], space.dtype)
        yield (
            partial(ones.dot, delta, row)
            if lanes == 1
            else partial(np.matmul, ones, delta, row.reshape(lanes, -1))
        )
        return
    instructions, place = compile_expression(expression, width)
    lanes = max((space.count_lanes(width, instruction.memory) for instruction in instructions), default=1)
    yield from _bind_instructions(space, instructions, rows)
    value = space.resolve(place, rows, lanes, width)
    axes = tuple(range(lanes > 1, value.ndim - 1))
    yield partial(np.add.reduce, value, axis=axes, out=row.reshape(lanes, -1) if lanes > 1 else row)


def _view(space: Workspace, view: View, rows: Rows, lanes: int = 1) -> Array:
    time = space.time(view, *rows) if isinstance(rows, tuple) else space.time(view, rows, rows).start
    return space.select(view, time, lanes)


def _index(rows: Rows) -> slice | int:
    """Where the steps lie in an array of all steps."""
    return slice(rows[0] - 1, rows[1]) if isinstance(rows, tuple) else rows - 1


def _flat(block: Array, lanes: int = 1) -> Array:
    """(..., batch, unit) as (rows, unit), behind the lanes if there are several: always a view."""
    return block.reshape(*(() if lanes == 1 else (lanes,)), -1, block.shape[-1])
