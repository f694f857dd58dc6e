"""`Compute` operations as short lists of ufunc calls: common sub-expressions once, into scratch that is reused.

    instruction := Instruction(function, arguments, out)      function(*arguments, out=out)
    place       := View | Row | Number
                 | Register(width, index)                     scratch, free again after its last use
                 | RowValue(width, expression)                a value of rows and numbers only, once per sequence
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Call, Expression, Load, Number, calls, leaves
from graphbptt.ir.plan import Assignment, Compute, Row, View

__all__ = ["Instruction", "Place", "Register", "RowValue", "compile_assignments", "compile_expression", "evaluate_row"]

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
    """``function(*arguments, out=out)``."""

    function: Callable[..., Any]
    arguments: tuple[Place, ...]
    out: View | Register


def _logistic(x: Array, out: Array) -> None:
    """By the identity ``logistic(x) = (1 + tanh(x/2)) / 2``: NumPy's tanh is vectorised, and it does not overflow."""
    half = _half(out.dtype)
    np.multiply(x, half, out)
    np.tanh(out, out)
    np.multiply(out, half, out)
    np.add(out, half, out)


@cache
def _half(dtype: np.dtype[Any]) -> Array:
    return np.array(0.5, dtype)


FASTER: dict[str, Callable[..., Any]] = {"logistic": _logistic}
"""Functions that NumPy computes faster than by the value in their table."""


def compile_assignments(compute: Compute) -> list[Instruction]:
    """The instructions of a `Compute`, in order."""
    compiler = _Compiler(compute.assignments)
    for item in compute.assignments:
        compiler.assign(item)
    return compiler.instructions


def compile_expression(expression: Expression, width: int) -> tuple[list[Instruction], Place]:
    """The instructions that evaluate an expression into scratch, and the place that holds it afterwards."""
    compiler = _Compiler((), (expression,))
    place = compiler.evaluate(expression, width)
    return compiler.instructions, place


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

    def __init__(self, assignments: Iterable[Assignment], roots: Iterable[Expression] = ()) -> None:
        assignments = tuple(assignments)
        self.instructions: list[Instruction] = []
        self.places: dict[Expression, Place] = {}
        self.free: list[Register] = []
        self.count = 0
        self.homes: dict[Expression, View] = {}
        for item in assignments:
            if isinstance(item.expression, Call) and not item.accumulate:
                self.homes.setdefault(item.expression, item.out)
        expressions = [*(item.expression for item in assignments), *roots]
        self.uses = Counter(argument for call in calls(expressions) for argument in set(call.arguments))
        self.uses.update(expressions)

    def assign(self, item: Assignment) -> None:
        value = self.evaluate(item.expression, item.out.width)
        if item.accumulate:
            self.instructions.append(Instruction(np.add, (item.out, value), item.out))
        elif value != item.out:
            self.instructions.append(Instruction(np.positive, (value,), item.out))
        self.release(item.expression)

    def evaluate(self, expression: Expression, width: int) -> Place:
        for call in calls([expression], known=self.places):
            if all(isinstance(leaf, Load) and isinstance(leaf.slot, Row) for leaf in leaves(call)):
                self.places[call] = RowValue(width, call)
                continue
            arguments = tuple(self.place(argument) for argument in call.arguments)
            for argument in set(call.arguments):
                self.release(argument)
            out = self.homes.get(call) or self.claim(width)
            function = FASTER.get(call.function.name, call.function.value)
            self.instructions.append(Instruction(function, arguments, out))
            self.places[call] = out
        return self.place(expression)

    def place(self, expression: Expression) -> Place:
        if isinstance(expression, Number):
            return expression
        if isinstance(expression, Load) and isinstance(expression.slot, View | Row):
            return expression.slot
        return self.places[expression]

    def claim(self, width: int) -> Register:
        for register in self.free:
            if register.width == width:
                self.free.remove(register)
                return register
        self.count += 1
        return Register(width, self.count)

    def release(self, expression: Expression) -> None:
        self.uses[expression] -= 1
        place = self.places.get(expression)
        if isinstance(place, Register) and self.uses[expression] == 0:
            self.free.append(place)
