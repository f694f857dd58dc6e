"""`Compute` operations as short lists of ufunc calls: common sub-expressions once, into scratch that is reused.

instruction := Instruction(function, arguments, out)      function(*arguments, out)
place       := View | Row | Number
             | Register(width, index)                     scratch, free again after its last use
             | RowValue(width, expression)                a value of rows and numbers only, once per sequence
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Call, Expression, Load, Number, calls, leaves
from graphbptt.ir.operations import Assignment, Compute, Row, View

__all__ = [
    "Instruction",
    "Place",
    "Register",
    "RowValue",
    "compile_compute",
    "compile_expression",
    "evaluate_row",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Register:
    """Scratch memory of `width` columns."""

    width: int
    index: int


@dataclass(frozen=True, slots=True)
class RowValue:
    """An expression of rows and numbers, the same at every step."""

    width: int
    expression: Expression


Place = View | Row | Number | Register | RowValue


@dataclass(frozen=True, slots=True)
class Instruction:
    """``function(*arguments, out)``.

    `memory` lists everything in memory that its assignment reads or writes: all its instructions work on as many lanes
    as these ask for, so that scratch means the same to each of them.
    """

    function: Callable[..., Any]
    arguments: tuple[Place, ...]
    out: View | Register
    memory: tuple[View | Row, ...] = ()


def _expand_logistic(out: View | Register, x: Place) -> list[Instruction]:
    return [Instruction(np.negative, (x,), out), *_expand_logistic_of_minus(out, out)]


def _expand_logistic_of_minus(out: View | Register, x: Place) -> list[Instruction]:
    """``logistic(-x) = 1 / (1 + exp(x))``: all digits are right, also of the smallest results; 0 where exp(x) is
    infinite. Half a tanh is quicker, but loses them: of x = 20 nothing is left in float32."""
    return [
        Instruction(np.exp, (x,), out),
        Instruction(np.add, (out, ONE), out),
        Instruction(np.divide, (ONE, out), out),
    ]


def _one_call(function: Callable[..., Any], *constants: Number) -> Expansion:
    """A single ufunc, of the arguments and some constants."""
    return lambda out, *arguments: [Instruction(function, (*arguments, *constants), out)]


Expansion = Callable[..., list[Instruction]]
ONE, ZERO = Number(1.0), Number(0.0)
EXPANSIONS: dict[str, Expansion] = {
    "logistic": _expand_logistic,
    "logistic_of_minus": _expand_logistic_of_minus,
    "relu": _one_call(np.maximum, ZERO),
    "step": _one_call(np.heaviside, ZERO),
    "threshold": _one_call(np.heaviside, ZERO),
    "softplus": _one_call(np.logaddexp, ZERO),
    "finite": _one_call(np.nextafter, ZERO),
    "maximum": _one_call(np.maximum),
    "minimum": _one_call(np.minimum),
}
"""Functions whose value in their table is not one call of NumPy, or not the fastest: the calls that compute them, by
where the result goes and the arguments."""


def compile_compute(compute: Compute) -> list[Instruction]:
    """The instructions of all assignments; plain writes come before what adds to them.

    Plain writes are independent of each other, so the calls they begin with can be shared where they do the same to
    neighbouring columns: ``tanh(net)`` here and ``2 * tanh(net)`` there both begin with a tanh, of net inputs that lie
    side by side.
    """
    items = sorted(compute.assignments, key=lambda item: item.accumulate)
    lists = [(item, compile_assignment(item)) for item in items]
    heads = [
        instructions.pop(0)
        for item, instructions in lists
        if not item.accumulate and isinstance(instructions[0].out, View)
    ]
    merged: list[Instruction] = []
    for head in sorted(heads, key=_columns):
        both = _join(merged[-1], head) if merged else None
        merged[len(merged) - (both is not None) :] = [both or head]
    return [*merged, *(instruction for _, instructions in lists for instruction in instructions)]


def _columns(instruction: Instruction) -> tuple[str, int]:
    out = instruction.out
    return (out.buffer, out.start) if isinstance(out, View) else ("", 0)


def _join(a: Instruction, b: Instruction) -> Instruction | None:
    """One call in place of two that apply a function of one argument to neighbouring columns; not where one of them
    repeats the argument along the result, which together they would repeat in another order."""
    if a.function is not b.function or len(a.arguments) != 1 or len(b.arguments) != 1:
        return None
    argument, out = _union(a.arguments[0], b.arguments[0]), _union(a.out, b.out)
    if argument is None or out is None:
        return None
    if any(_width(item.arguments[0]) != _width(item.out) for item in (a, b)):
        return None
    return Instruction(a.function, (argument,), out, (argument, out))


def _width(place: Place) -> int | None:
    return place.width if isinstance(place, View) else None


def _union(a: Place, b: Place) -> View | None:
    if (
        isinstance(a, View)
        and isinstance(b, View)
        and (a.buffer, a.shift, a.stop) == (b.buffer, b.shift, b.start)
    ):
        return replace(a, stop=b.stop)
    return None


def compile_assignment(item: Assignment) -> list[Instruction]:
    """The instructions of an assignment, in order."""
    home = item.out if isinstance(item.expression, Call) and not item.accumulate else None
    instructions, value = compile_expression(item.expression, item.out.width, home)
    memory = (*_memory(item.expression), item.out)
    if item.accumulate:
        instructions.append(Instruction(np.add, (item.out, value), item.out))
    elif value != item.out:
        instructions.append(Instruction(np.positive, (value,), item.out))
    return [replace(instruction, memory=memory) for instruction in instructions]


def _memory(expression: Expression) -> tuple[View | Row, ...]:
    slots = (leaf.slot for leaf in leaves(expression) if isinstance(leaf, Load))
    return tuple(slot for slot in slots if isinstance(slot, View | Row))


def compile_expression(
    expression: Expression, width: int, home: View | None = None
) -> tuple[list[Instruction], Place]:
    """The instructions that evaluate an expression, and the place that holds it: `home`, or scratch."""
    compiler = _Compiler(expression, width, home)
    memory = _memory(expression)
    instructions = [replace(instruction, memory=memory) for instruction in compiler.instructions]
    return instructions, compiler.place(expression)


def evaluate_row(expression: Expression, read: Callable[[Row], Array]) -> Array:
    """The value of an expression of rows and numbers."""
    if isinstance(expression, Call):
        arguments = (evaluate_row(argument, read) for argument in expression.arguments)
        return expression.function.value(*arguments)
    if isinstance(expression, Load) and isinstance(expression.slot, Row):
        return read(expression.slot)
    if isinstance(expression, Number):
        return np.asarray(expression.value)
    raise TypeError(f"{expression} is not a value of rows and numbers")


class _Compiler:
    """Instructions, and which place holds which expression."""

    def __init__(self, root: Expression, width: int, home: View | None) -> None:
        self.instructions: list[Instruction] = []
        self.width = width
        self.places: dict[Expression, Place] = {}
        self.free: list[Register] = []
        self.count = 0
        self.uses = Counter(argument for call in calls([root]) for argument in set(call.arguments))
        for call in calls([root]):
            if all(isinstance(leaf, Load) and isinstance(leaf.slot, Row) for leaf in leaves(call)):
                self.places[call] = RowValue(max(row.width for row in _memory(call)), call)
            else:
                self.emit(call, home if call is root else None)

    def emit(self, call: Call, home: View | None) -> None:
        arguments = tuple(self.place(argument) for argument in call.arguments)
        for argument in set(call.arguments):
            self.release(argument)
        out = home or self.claim()
        expand = EXPANSIONS.get(call.function.name)
        if expand is not None:
            self.instructions.extend(expand(out, *arguments))
        else:
            self.instructions.append(Instruction(call.function.value, arguments, out))
        self.places[call] = out

    def place(self, expression: Expression) -> Place:
        if isinstance(expression, Number):
            return expression
        if isinstance(expression, Load) and isinstance(expression.slot, View | Row):
            return expression.slot
        return self.places[expression]

    def claim(self) -> Register:
        if self.free:
            return self.free.pop()
        self.count += 1
        return Register(self.width, self.count)

    def release(self, expression: Expression) -> None:
        self.uses[expression] -= 1
        place = self.places.get(expression)
        if isinstance(place, Register) and self.uses[expression] == 0:
            self.free.append(place)
