"""Operations bound to memory: a tape is a list of calls without arguments, and running it is walking the list.

Binding makes every view once, so that the loop over time allocates nothing and looks nothing up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Load
from graphbptt.ir.plan import Compute, Contract, Operation, Product, Reduce, Restrain, Silence, Sweep, View
from graphbptt.ir.schedule import Mode
from graphbptt_numpy.pointwise import Instruction, compile_assignments, compile_expression
from graphbptt_numpy.workspace import Workspace

__all__ = ["Tape", "bind_sweep"]

Array = npt.NDArray[Any]
Call = Callable[[], object]
Binder = Callable[[int], Call]

BLOCK = 1 << 15
"""Element-wise work on whole sequences goes in blocks of steps of about this many numbers, which stay in the cache."""

KEPT_CALLS = 100_000
"""A loop of more calls than this is bound anew at every run, call by call, instead of being kept in memory."""


class Tape:
    """One direction of a stage, ready to run."""

    def __init__(self, space: Workspace, sweep: Sweep, mode: Mode, backward: bool) -> None:
        self._before = [call for operation in sweep.before for call in bind_whole(space, operation)]
        self._loop = _Loop(space, sweep, mode, backward)
        self._after = [call for operation in sweep.after for call in bind_whole(space, operation)]

    def run(self) -> None:
        for call in self._before:
            call()
        for call in self._loop.calls():
            call()
        for call in self._after:
            call()


class _Loop:
    """The scan of a stage.

    In iteration i an operation of phase p works on step i - p, counted in the stage's direction of time. The backward
    sweep walks the same iterations from the last to the first.
    """

    def __init__(self, space: Workspace, sweep: Sweep, mode: Mode, backward: bool) -> None:
        self._binders = [(phase, bind) for phase, operation in sweep.each for bind in _bind_step(space, operation)]
        self._steps = space.steps
        self._in_reverse = mode == "reverse"
        last = space.steps + max((phase for phase, _ in self._binders), default=0)
        self._iterations = range(last, 0, -1) if backward else range(1, last + 1)
        few = len(self._iterations) * len(self._binders) <= KEPT_CALLS
        self._kept = list(self._bind()) if few else None

    def calls(self) -> list[Call] | Iterator[Call]:
        return self._bind() if self._kept is None else self._kept

    def _bind(self) -> Iterator[Call]:
        for iteration in self._iterations:
            for phase, bind in self._binders:
                step = iteration - phase
                if 1 <= step <= self._steps:
                    yield bind(self._steps + 1 - step if self._in_reverse else step)


def bind_sweep(space: Workspace, sweep: Sweep, mode: Mode, backward: bool = False) -> Tape:
    """Bind a sweep to a workspace; `backward` walks the iterations from the last to the first."""
    return Tape(space, sweep, mode, backward)


# One step at a time.


def _bind_step(space: Workspace, operation: Operation) -> Iterator[Binder]:
    """Functions of the step, each making one call."""
    if isinstance(operation, Product):
        yield from _bind_step_product(space, operation)
    elif isinstance(operation, Compute):
        for instruction in compile_assignments(operation):
            yield partial(_bind_instruction, space, instruction)
    elif isinstance(operation, Restrain) and space.holding(operation.population):
        yield partial(_bind_restrain, space, operation.population)


def _bind_step_product(space: Workspace, product: Product) -> Iterator[Binder]:
    matrix = space.transposed(product.matrix) if product.transposed else space.matrices[product.matrix]
    if not product.accumulate:
        yield lambda step: partial(np.matmul, space.step(product.source, step), matrix, out=space.step(product.out, step))
        return
    scratch = space.scratch((space.size, product.out.width))
    yield lambda step: partial(np.matmul, space.step(product.source, step), matrix, out=scratch)
    yield lambda step: partial(np.add, out := space.step(product.out, step), scratch, out=out)


def _bind_instruction(space: Workspace, instruction: Instruction, step: int) -> Call:
    def view(item: View) -> Array:
        return space.step(item, step)

    return _bind_function(space, instruction, (space.size,), view)


def _bind_restrain(space: Workspace, population: str, step: int) -> Call:
    state = space.step(space.plan.placement[population].state, step)
    return partial(np.copyto, state, space.holds[population][step - 1], where=space.held[population][step - 1])


# Whole sequences.


def bind_whole(space: Workspace, operation: Operation) -> Iterator[Call]:
    """Calls that do one operation for all steps."""
    if isinstance(operation, Product):
        yield from _bind_whole_product(space, operation)
    elif isinstance(operation, Compute):
        width = max(item.out.width for item in operation.assignments)
        instructions = compile_assignments(operation)
        for first, last in _blocks(space, width):
            yield from (_bind_block(space, instruction, first, last) for instruction in instructions)
    elif isinstance(operation, Restrain):
        if space.holding(operation.population):
            name = operation.population
            state = space.whole(space.plan.placement[name].state)
            yield partial(np.copyto, state, space.holds[name], where=space.held[name])
    elif isinstance(operation, Silence):
        yield from _bind_silence(space, operation)
    elif isinstance(operation, Contract):
        source, delta = _flat(space.whole(operation.source)), _flat(space.whole(operation.delta))
        yield partial(np.matmul, source.T, delta, out=space.matrix_gradients[operation.matrix])
    else:
        yield from _bind_reduce(space, operation)


def _bind_whole_product(space: Workspace, product: Product) -> Iterator[Call]:
    matrix = space.matrices[product.matrix]
    matrix = matrix.T if product.transposed else matrix
    source, out = _flat(space.whole(product.source)), _flat(space.whole(product.out))
    if not product.accumulate:
        yield partial(np.matmul, source, matrix, out=out)
        return
    scratch = space.scratch(out.shape)
    yield partial(np.matmul, source, matrix, out=scratch)
    yield partial(np.add, out, scratch, out=out)


def _bind_block(space: Workspace, instruction: Instruction, first: int, last: int) -> Call:
    def view(item: View) -> Array:
        return space.block(item, first, last)

    return _bind_function(space, instruction, (last - first + 1, space.size), view)


def _bind_function(
    space: Workspace, instruction: Instruction, shape: tuple[int, ...], view: Callable[[View], Array]
) -> Call:
    arguments = (space.resolve(place, shape, view) for place in instruction.arguments)
    return partial(instruction.function, *arguments, out=space.resolve(instruction.out, shape, view))


def _bind_silence(space: Workspace, operation: Silence) -> Iterator[Call]:
    for view in operation.slopes:
        slope = space.whole(view)
        if operation.population is not None and space.holding(operation.population):
            yield partial(np.copyto, slope, 0, where=space.held[operation.population])
        elif space.padded is not None:
            yield partial(np.copyto, slope, 0, where=space.padded[:, :, None])


def _bind_reduce(space: Workspace, operation: Reduce) -> Iterator[Call]:
    """Add up block by block; a plain load is one product with a vector of ones."""
    row = space.vector_gradient[operation.row.start : operation.row.stop]
    scratch = space.scratch(row.shape)
    if isinstance(operation.expression, Load) and isinstance(operation.expression.slot, View):
        delta = _flat(space.whole(operation.expression.slot))
        yield partial(np.matmul, np.ones(len(delta), space.dtype), delta, out=row)
        return
    yield partial(row.fill, 0)
    instructions, place = compile_expression(operation.expression, operation.row.width)
    for first, last in _blocks(space, operation.row.width):
        yield from (_bind_block(space, instruction, first, last) for instruction in instructions)
        value = space.resolve(place, (last - first + 1, space.size), partial(_block, space, first, last))
        yield partial(np.add.reduce, value, axis=(0, 1), out=scratch)
        yield partial(np.add, row, scratch, out=row)


def _block(space: Workspace, first: int, last: int, view: View) -> Array:
    return space.block(view, first, last)


def _blocks(space: Workspace, width: int) -> Iterator[tuple[int, int]]:
    """Stretches of steps, first and last included."""
    length = max(1, BLOCK // max(1, space.size * width))
    for first in range(1, space.steps + 1, length):
        yield first, min(first + length - 1, space.steps)


def _flat(block: Array) -> Array:
    """(time, batch, unit) as (time x batch, unit): a view, since columns are all that is left out."""
    return block.reshape(-1, block.shape[-1])
