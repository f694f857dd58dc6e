"""Optimizers: rules of updates, and how NumPy follows them on the one flat vector of free parameters.

    optimizer := Optimizer(init, update)
    init      := parameters -> state
    update    := (gradient, state, parameters) -> None    writes the step over the gradient

Each factory states its rule once, as expressions of one number (`graphbptt.ir.updates`); a backend that keeps the
parameters follows the same rule. An optimizer holds nothing itself: all that an update depends on is in its arguments.
It writes over them, so that no array is made after `init`; the caller adds the step to the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.choices import Adam, Adamw, OptimizerChoice, Rmsprop, Sgd
from graphbptt.ir.expression import Call, Expression, Load, Number, calls, divide, leaves
from graphbptt.ir.functions import FUNCTIONS
from graphbptt.ir.updates import GRADIENT, PARAMETER, TotalWeight, UpdateRule

__all__ = ["OPTIMIZERS", "Optimizer", "State", "clip_norm", "make_optimizer", "make_rule"]

Array = npt.NDArray[Any]
State = dict[str, Array]

BLOCK = 32768
"""The numbers that are worked on at a time: what is computed on the way stays in a cache."""


@dataclass(frozen=True, slots=True)
class Optimizer:
    """A pair of functions; see the module's grammar.

    >>> import numpy as np
    >>> rule = make_optimizer(OptimizerChoice(sgd=Sgd(rate=0.5)))
    >>> parameters, gradient = np.array([1.0]), np.array([2.0])
    >>> rule.update(gradient, rule.init(parameters), parameters)
    >>> parameters + gradient
    array([0.])
    """

    init: Callable[[Array], State]
    update: Callable[[Array, State, Array], None]


def sgd(settings: Sgd) -> UpdateRule:
    """Gradient descent along a velocity (Polyak 1964; Nesterov's as in Sutskever et al. 2013)."""
    velocity = Load("velocity") * settings.momentum + GRADIENT
    direction = GRADIENT + velocity * settings.momentum if settings.nesterov else velocity
    return UpdateRule(direction * -settings.rate, _keep(velocity=velocity))


def rmsprop(settings: Rmsprop) -> UpdateRule:
    """Descent scaled by a running root mean square of each derivative (Tieleman and Hinton 2012)."""
    square = _average("square", GRADIENT * GRADIENT, settings.decay)
    step = GRADIENT / (FUNCTIONS["sqrt"](square) + settings.epsilon) * -settings.rate
    return UpdateRule(step, _keep(square=square))


def adam(settings: Adam) -> UpdateRule:
    """Running means of the derivatives and their squares, corrected for their start (Kingma and Ba 2015)."""
    mean = _average("mean", GRADIENT, settings.beta1)
    square = _average("square", GRADIENT * GRADIENT, settings.beta2)
    scale = FUNCTIONS["sqrt"](square / Load(TotalWeight(settings.beta2))) + settings.epsilon
    rate = divide(-settings.rate, Load(TotalWeight(settings.beta1)))
    return UpdateRule(mean / scale * rate, _keep(mean=mean, square=square))


def adamw(settings: Adamw) -> UpdateRule:
    """Adam, and a shrinking of every parameter apart from its scaling (Loshchilov and Hutter 2019)."""
    rule = adam(settings)
    return UpdateRule(rule.step - PARAMETER * (settings.rate * settings.weight_decay), rule.moments)


def _average(name: str, value: Expression, decay: float) -> Expression:
    """The new value of a running mean."""
    return Load(name) * decay + value * (1 - decay)


def _keep(**moments: Expression) -> tuple[tuple[str, Expression], ...]:
    """The moments whose new value depends on the old one: with a decay of 0 they do not."""
    return tuple((name, value) for name, value in moments.items() if Load(name) in leaves(value))


OPTIMIZERS: Mapping[str, Callable[[Any], UpdateRule]] = {
    "sgd": sgd,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
}
"""The factories, by the names that `OptimizerChoice` declares together with their settings."""


def make_rule(choice: OptimizerChoice) -> UpdateRule:
    """The rule of the optimizer that was chosen, with its settings."""
    return OPTIMIZERS[choice.name](choice.options)


def make_optimizer(choice: OptimizerChoice) -> Optimizer:
    """The optimizer that was chosen, with its settings."""
    return bind_rule(make_rule(choice))


@dataclass(frozen=True, slots=True)
class _Program:
    """A rule as calls of functions on places: the gradient, the parameters and the moments, then so many `registers`,
    then `scalars`, which are the same for all numbers.

    New moments come where the old ones were, the step where the gradient was.
    """

    instructions: tuple[tuple[Callable[..., Array], tuple[int, ...], int], ...]
    registers: int
    scalars: tuple[Expression, ...]


def bind_rule(rule: UpdateRule) -> Optimizer:
    """A rule as NumPy follows it, on one block of numbers after the other."""
    program = _write_program(rule)
    names = [name for name, _ in rule.moments]

    def init(parameters: Array) -> State:
        scratch = np.empty((program.registers, min(BLOCK, parameters.size)), parameters.dtype)
        moments = {name: np.zeros_like(parameters) for name in names}
        return {"count": np.zeros((), np.int64), **moments, "scratch": scratch}

    def update(gradient: Array, state: State, parameters: Array) -> None:
        state["count"] += 1
        count, kind = int(state["count"]), gradient.dtype
        scalars = [np.array(_measure(scalar, count), kind) for scalar in program.scalars]
        arrays = (gradient, parameters, *(state[name] for name in names))
        for start in range(0, gradient.size, BLOCK):
            parts = [array[start : start + BLOCK] for array in arrays]
            places = [*parts, *state["scratch"][:, : len(parts[0])], *scalars]
            for function, operands, out in program.instructions:
                function(*[places[operand] for operand in operands], places[out])

    return Optimizer(init, update)


def _write_program(rule: UpdateRule) -> _Program:
    """A call for each distinct sub-expression."""
    places: dict[Expression, int] = {GRADIENT: 0, PARAMETER: 1}
    places |= {Load(name): place for place, (name, _) in enumerate(rule.moments, 2)}
    homes = {expression: places[Load(name)] for name, expression in rule.moments} | {rule.step: 0}
    varying = [call for call in calls(rule.roots) if any(leaf in places for leaf in leaves(call))]
    arguments = [argument for call in varying for argument in call.arguments]
    scalars = [item for item in dict.fromkeys(arguments) if item not in (*places, *varying)]
    registers = _share_registers(varying, homes)
    count, first = max(registers.values(), default=-1) + 1, len(places)
    places |= {call: first + register for call, register in registers.items()}
    places |= {item: first + count + number for number, item in enumerate(scalars)}
    places |= {call: homes[call] for call in varying if call in homes}
    instructions = [
        (call.function.value, tuple(places[argument] for argument in call.arguments), places[call])
        for call in varying
    ]
    return _Program(tuple(instructions), count, tuple(scalars))


def _share_registers(ordered: list[Call], homes: Container[Expression]) -> dict[Call, int]:
    """A register for each call that has no home; one is taken again once what it holds was read for the last time."""
    last = {argument: call for call in ordered for argument in call.arguments}
    registers: dict[Call, int] = {}
    free: list[int] = []
    for call in ordered:
        read = [item for item in registers if last.get(item) == call]
        free += [registers[item] for item in read]
        if call not in homes:
            registers[call] = free.pop() if free else len(set(registers.values()))
    return registers


def _measure(scalar: Expression, count: int) -> float:
    """A value that is the same for all numbers, in double precision."""
    if isinstance(scalar, Number):
        return scalar.value
    if isinstance(scalar, Load) and isinstance(scalar.slot, TotalWeight):
        return scalar.slot.measure(count)
    assert isinstance(scalar, Call), f"{scalar} is not the same for all numbers"
    return float(scalar.function.value(*(_measure(argument, count) for argument in scalar.arguments)))


def clip_norm(gradient: Array, limit: float) -> float:
    """Shrink the gradient in place so that its Euclidean norm is at most `limit`; returns the norm it had.

    >>> import numpy as np
    >>> gradient = np.array([3.0, 4.0])
    >>> clip_norm(gradient, 1.0), gradient
    (5.0, array([0.6, 0.8]))
    """
    # In double precision, where the squares of single-precision numbers do not overflow.
    norm = math.sqrt(float(np.einsum("i,i->", gradient, gradient, dtype=np.float64)))
    if norm > limit:
        gradient *= limit / norm
    return norm
