"""How a state came to be no finite number: which operation of its activation made it so, of what, and what to write
instead where the operation has no value there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.expression import ARITHMETIC, Call, Coefficient, Expression, Leaf, Net, Number, calls
from graphbptt.ir.functions import is_softmax
from graphbptt.model import Model
from graphbptt.reference.read_unit import UnitPlace, read_unit

__all__ = ["Origin", "trace_state"]

Array = npt.NDArray[Any]

LONGEST = 60
"""How many characters of an expression are shown."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a state no finite number, and what to write where that is no matter of size; else empty."""

    what: str
    instead: str = ""


def trace_state(model: Model, bound: Batch, states: Mapping[str, Array], place: UnitPlace) -> Origin:
    """Compute one state anew, operation by operation; `states` are those of the batch, (batch, time, units)."""
    activation = model.network.population[place.population].activation
    if is_softmax(activation):
        return Origin(f"it is {activation}")
    read = read_unit(model.network, model.plan.layout, model.vector, bound, states, place)
    values = _evaluate(activation, read, model.dtype)
    origin: Expression = activation
    while isinstance(origin, Call):
        wrong = (item for item in origin.arguments if not math.isfinite(values[item]))
        found = next(wrong, None)
        if found is None:
            break
        origin = found
    if math.isfinite(values[origin]):  # by other roundings
        return Origin(f"it is {_show(activation)}")
    if isinstance(origin, Call):
        return _describe_call(origin, activation, values)
    noun = {Net: "its net input", Coefficient: f"its coefficient {origin}"}.get(type(origin), str(origin))
    return Origin(f"{noun} is {values[origin]:g}")


def _evaluate(
    activation: Expression, read: Callable[[Leaf], float], dtype: np.dtype[Any]
) -> dict[Expression, float]:
    """The values of an expression and of all its parts."""
    values: dict[Expression, float] = {}

    def value(item: Any) -> Any:
        if item not in values:
            values[item] = item.value if isinstance(item, Number) else read(item)
        return dtype.type(values[item])

    with np.errstate(all="ignore"):
        for call in calls([activation]):
            values[call] = float(call.function.value(*map(value, call.arguments)))
        value(activation)
    return values


def _describe_call(call: Call, activation: Expression, values: Mapping[Expression, float]) -> Origin:
    known = [item for item in dict.fromkeys(call.arguments) if not isinstance(item, Number)]
    where = " and ".join(f"{_show(item)} is {values[item]:g}" for item in known)
    inside = "" if call == activation else f", in {_show(activation)}"
    what = f"{_show(call)} is {values[call]:g} where {where}{inside}"
    return Origin(what, _advise(call.function.name, [values[item] for item in call.arguments], call))


def _advise(function: str, values: list[float], call: Call) -> str:
    """What to write in place of an operation that has no value for these; empty where the value is only too large."""
    argument = _show(call.arguments[0])
    match function, values:
        case "power", [base, exponent] if base < 0 and exponent % 1:
            return f"write a power of what is never negative, such as relu({argument})"
        case "power", [0, exponent] if exponent < 0:
            return f"write a power of what is never 0, such as 1 + abs({argument})"
        case "divide", [_, 0]:
            return f"divide by what is never 0, such as 1 + abs({_show(call.arguments[1])})"
        case "log", [number] if number <= 0:
            return f"write the logarithm of what is always above 0, such as 0.01 + softplus({argument})"
        case "sqrt", [number] if number < 0:
            return f"write the root of what is never negative, such as relu({argument})"
    return ""


def _show(expression: Expression) -> str:
    """An expression as one would write it, shortened if it is long."""
    text = str(expression)
    if isinstance(expression, Call) and expression.function in ARITHMETIC:
        text = text[1:-1]
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
