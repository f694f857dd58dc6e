"""The losses of one unit as expressions, for executors that generate text: the value and its derivative by the state.

    unit loss := (predicted, wanted, limits, options...) -> (value, derivative)

They say what the functions on arrays in `graphbptt.ir.losses` say, by whose side the table there names them. `limits`
are those of the type of the numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from graphbptt.ir.expression import Expression
from graphbptt.ir.functions import FUNCTIONS
from graphbptt.ir.penalties import Penalty

__all__ = [
    "UnitLoss",
    "binary_cross_entropy",
    "binary_cross_entropy_on_net",
    "huber",
    "penalize",
    "poisson",
    "poisson_on_net",
    "squared_error",
]

Limits: TypeAlias = np.finfo[Any]
Pair: TypeAlias = tuple[Expression, Expression]
UnitLoss: TypeAlias = Callable[..., Pair]

absolute, exp, log, logistic, maximum, minimum, sign, softplus, step = (
    FUNCTIONS[name]
    for name in ("abs", "exp", "log", "logistic", "maximum", "minimum", "sign", "softplus", "step")
)


def squared_error(predicted: Expression, wanted: Expression, _: Limits) -> Pair:
    """Half the squared difference."""
    difference = predicted - wanted
    return difference * difference * 0.5, difference


def binary_cross_entropy(probability: Expression, wanted: Expression, limits: Limits) -> Pair:
    """Minus the logarithm of the likelihood, constant where the probability is clipped."""
    edge = float(limits.eps)
    p = maximum(minimum(probability, 1 - edge), edge)
    value = -(wanted * log(p) + (1 - wanted) * log(1 - p))
    return value, (p - wanted) / (p * (1 - p)) * _are_equal(p, probability)


def binary_cross_entropy_on_net(net: Expression, wanted: Expression, _: Limits) -> Pair:
    """The same of the net input of a logistic unit."""
    return softplus(net) - wanted * net, logistic(net) - wanted


def poisson(rate: Expression, count: Expression, limits: Limits) -> Pair:
    """Minus the log-likelihood of a count, whose logarithm is constant below the smallest rate."""
    r = maximum(rate, float(limits.tiny))
    return rate - count * log(r), 1 - count * _are_equal(r, rate) / r


def poisson_on_net(net: Expression, count: Expression, _: Limits) -> Pair:
    """The same of the net input of an exponential unit."""
    rate = exp(net)
    return rate - count * net, rate - count


def huber(predicted: Expression, wanted: Expression, _: Limits, delta: float = 1.0) -> Pair:
    """Half the square of a difference up to `delta`, and linear in a larger one."""
    difference = predicted - wanted
    slope = maximum(minimum(difference, delta), -delta)
    return slope * (difference - slope * 0.5), slope


def penalize(number: Expression, _wanted: object, _limits: object, penalty: Penalty) -> Pair:
    """The penalty on one number, of which nothing is wanted."""
    value = absolute(number) * penalty.l1 + number * number * (0.5 * penalty.l2)
    return value, sign(number) * penalty.l1 + number * penalty.l2


def _are_equal(one: Expression, other: Expression) -> Expression:
    """1 where they are, else 0."""
    return 1 - step(absolute(one - other))
