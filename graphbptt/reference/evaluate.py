"""What both walks of the reference executor read: copies of parameters, expressions, units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Call, Expression, Leaf, Number, calls
from graphbptt.ir.parameters import FrozenArray, Use

__all__ = ["evaluate", "pick_units", "take_copy"]

Array = npt.NDArray[Any]


def take_copy(parameters: Mapping[str, Array], value: Use | FrozenArray) -> Array:
    """A copy of a parameter as its use wants it, or a constant."""
    if isinstance(value, FrozenArray):
        return value.values
    parameter = parameters[value.group]
    if value.index is not None:
        return value.scale * value.index.read(parameter)
    return value.scale * (parameter.T if value.transpose else parameter)


def evaluate(expression: Expression, leaf_value: Callable[[Leaf], Array]) -> Array:
    known: dict[Expression, Any] = {}

    def value(item: Any) -> Any:
        if isinstance(item, Number):
            return item.value
        return known[item] if isinstance(item, Call) else leaf_value(item)

    for call in calls([expression]):
        known[call] = call.function.value(*map(value, call.arguments))
    return np.asarray(value(expression))


def pick_units(units: tuple[int, ...] | None) -> Any:
    return slice(None) if units is None else list(units)
