"""The range of an expression's values, by interval arithmetic (Moore 1966, *Interval Analysis*).

A net input may be any number, and so may states and coefficients, whose own ranges are not looked into. What comes out
holds every value. It holds no others where each leaf is used only once and every function's range is known to be
reached; such a range is *exact*.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphbptt.ir.expression import (
    ARITHMETIC,
    Expression,
    Function,
    Leaf,
    Net,
    Number,
    calls,
    divide,
    leaves,
    power,
)
from graphbptt.ir.functions import maximum, minimum

__all__ = ["Range", "bound_expression"]

BY_CORNERS = frozenset({*ARITHMETIC, maximum, minimum} - {power})
"""Functions whose extremes over a box lie at its corners; division, where its denominator is never 0."""


@dataclass(frozen=True, slots=True)
class Range:
    """The closed interval from `low` to `high`; `exact` where every value inside is reached, or come close to."""

    low: float = -math.inf
    high: float = math.inf
    exact: bool = False

    @property
    def unlimited(self) -> bool:
        return self.low == -math.inf and self.high == math.inf


def bound_expression(expression: Expression) -> Range:
    """The range of an expression.

    >>> from graphbptt.ir.functions import logistic, tanh
    >>> bound_expression(2 * tanh(Net()))
    Range(low=-2.0, high=2.0, exact=True)
    >>> bound_expression(tanh(Net()) * tanh(Net()))
    Range(low=-1.0, high=1.0, exact=False)
    """
    ranges: dict[Expression, Range] = {}
    used: dict[Expression, frozenset[Leaf]] = {}
    for call in calls([expression]):
        parts = [used.get(argument, frozenset(leaves(argument))) for argument in call.arguments]
        used[call] = frozenset().union(*parts)
        once = len(used[call]) == sum(map(len, parts))
        arguments = [ranges.get(argument, _bound_leaf(argument)) for argument in call.arguments]
        ranges[call] = _bound_call(call.function, arguments, once)
    return ranges.get(expression, _bound_leaf(expression))


def _bound_leaf(expression: Expression) -> Range:
    if isinstance(expression, Number):
        return Range(expression.value, expression.value, exact=True)
    return Range(exact=isinstance(expression, Net))


def _bound_call(function: Function, arguments: Sequence[Range], once: bool) -> Range:
    exact = once and all(argument.exact for argument in arguments)
    if function not in BY_CORNERS:
        # What part of its values a function takes on a part of the numbers is not looked into.
        return Range(*function.bounds, exact and function is not power and arguments[0].unlimited)
    if function is divide and arguments[1].low <= 0 <= arguments[1].high:
        return Range()
    corners = itertools.product(*((argument.low, argument.high) for argument in arguments))
    with np.errstate(all="ignore"):
        values = [float(function.value(*map(np.float64, corner))) for corner in corners]
    known = [value for value in values if not math.isnan(value)]  # such as infinity less infinity
    return Range(min(known), max(known), exact)
