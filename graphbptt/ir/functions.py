"""The named element-wise functions, one entry each: value, derivatives, text form, bounds.

The table is the single source of which names an activation may use. A name with one argument is also an activation of
its own: ``tanh`` is short for ``tanh(net)``. A `Composite` is a name for an expression in other functions: it has no
rules of its own, and no executor knows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from graphbptt.ir.expression import ARITHMETIC, Call, Expression, Function, Net, number, one

Array = npt.NDArray[Any]

__all__ = ["ACTIVATIONS", "COMPOSITES", "FUNCTIONS", "KINKED", "Composite", "is_softmax"]


@dataclass(frozen=True, slots=True)
class Composite:
    """A name for an expression of one argument.

    >>> print(COMPOSITES["silu"](Net()))
    (net * logistic(net))
    """

    name: str
    build: Callable[[Expression], Expression]

    arity = 1

    @property
    def text(self) -> str:
        return f"{self.name}({{}})"

    def __call__(self, argument: Expression) -> Expression:
        return self.build(argument)


def _relu(x: Array, out: Array | None = None) -> Array:
    return np.maximum(x, 0, out=out)


# NumPy deprecates the result as a third positional argument of these two.
def _maximum(a: Array, b: Array, out: Array | None = None) -> Array:
    return np.maximum(a, b, out=out)


def _minimum(a: Array, b: Array, out: Array | None = None) -> Array:
    return np.minimum(a, b, out=out)


def _finite(x: Array, out: Array | None = None) -> Array:
    """The next number towards 0: infinity becomes the largest number, others change by one unit in the last place."""
    return np.nextafter(x, 0, out=out)


def _step(x: Array, out: Array | None = None) -> Array:
    return np.heaviside(x, 0, out=out)


def _softplus(x: Array, out: Array | None = None) -> Array:
    return np.logaddexp(x, 0, out=out)


def _softmax(x: Array, out: Array | None = None) -> Array:
    powers: Array = np.exp(np.subtract(x, x.max(axis=-1, keepdims=True), out=out), out=out)
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


logistic = Function(
    "logistic", 1, special.expit, lambda a, y: (y * (one() - y),), "logistic({})", (0, 1), costly=True
)
tanh = Function("tanh", 1, np.tanh, lambda a, y: (one() - y * y,), "tanh({})", (-1, 1), costly=True)
relu = Function("relu", 1, _relu, lambda a, y: (step(a[0]),), "relu({})", (0, np.inf))
softplus = Function(
    "softplus", 1, _softplus, lambda a, y: (logistic(a[0]),), "softplus({})", (0, np.inf), costly=True
)
# 1 / (1 + exp(x)): where an activation reads its net input through `logistic` alone, the compiler negates the weights.
logistic_of_minus = Function(
    "logistic_of_minus",
    1,
    lambda x, out=None: special.expit(-x, out=out),
    lambda a, y: (y * (y - one()),),
    "logistic(-{})",
    (0, 1),
    costly=True,
)
# Where a slope is infinite (a square root at 0), no derivative arriving must still give none passed on.
finite = Function("finite", 1, _finite, lambda a, y: (one(),), "finite({})")
expm1 = Function("expm1", 1, np.expm1, lambda a, y: (y + one(),), "expm1({})", (-1, np.inf), costly=True)
erf = Function(
    "erf",
    1,
    special.erf,
    lambda a, y: (number(2 / math.sqrt(math.pi)) * exp(-(a[0] * a[0])),),
    "erf({})",
    (-1, 1),
    costly=True,
)
exp: Function = Function("exp", 1, np.exp, lambda a, y: (y,), "exp({})", (0, np.inf), costly=True)
log = Function("log", 1, np.log, lambda a, y: (one() / a[0],), "log({})", costly=True)
sqrt = Function("sqrt", 1, np.sqrt, lambda a, y: (number(0.5) / y,), "sqrt({})", (0, np.inf))
sin = Function("sin", 1, np.sin, lambda a, y: (cos(a[0]),), "sin({})", (-1, 1), costly=True)
cos: Function = Function("cos", 1, np.cos, lambda a, y: (-sin(a[0]),), "cos({})", (-1, 1), costly=True)
absolute = Function("abs", 1, np.abs, lambda a, y: (sign(a[0]),), "abs({})", (0, np.inf))
# Piecewise constant: their derivative is zero wherever it exists.
sign: Function = Function("sign", 1, np.sign, lambda a, y: (number(0),), "sign({})", (-1, 1))
step: Function = Function("step", 1, _step, lambda a, y: (number(0),), "step({})", (0, 1))
# A step whose derivative is that of hard_tanh: straight through where the argument is small (Bengio, Leonard and
# Courville 2013; Hubara et al. 2016, eq. 4). It is not that of the value, so that differences do not agree with it.
threshold = Function(
    "threshold", 1, _step, lambda a, y: (step(one() - absolute(a[0])),), "threshold({})", (0, 1)
)
# Where both arguments are equal the derivative goes to the second one.
maximum = Function(
    "maximum", 2, _maximum, lambda a, y: (step(a[0] - a[1]), one() - step(a[0] - a[1])), "maximum({}, {})"
)
minimum = Function(
    "minimum", 2, _minimum, lambda a, y: (step(a[1] - a[0]), one() - step(a[1] - a[0])), "minimum({}, {})"
)

NAMED = (
    logistic, tanh, relu, softplus, exp, expm1, log, sqrt, sin, cos, erf, absolute, sign, step, threshold,
    maximum, minimum,
)  # fmt: skip

KINKED = frozenset({relu, absolute, sign, step, threshold, maximum, minimum})
"""Functions whose derivative jumps somewhere, or is not that of the value: there, differences say nothing of it."""

COMPOSITES: dict[str, Composite] = {
    composite.name: composite
    for composite in (
        Composite("leaky_relu", lambda x: maximum(x, 0.01 * x)),  # Maas, Hannun and Ng 2013
        Composite(
            "elu", lambda x: relu(x) + expm1(minimum(0, x))
        ),  # Clevert, Unterthiner and Hochreiter 2016
        Composite("gelu", lambda x: x * (0.5 + 0.5 * erf(x / math.sqrt(2)))),  # Hendrycks and Gimpel 2016
        Composite("silu", lambda x: x * logistic(x)),  # Elfwing, Uchibe and Doya 2018
        Composite("hard_tanh", lambda x: maximum(minimum(x, 1), -1)),
        Composite("hard_logistic", lambda x: maximum(minimum(x / 6 + 0.5, 1), 0)),
    )
}
"""Activations that are made of other functions; their constants are those of PyTorch's."""

FUNCTIONS: dict[str, Function] = {function.name: function for function in (*ARITHMETIC, *NAMED)}
"""Every function by name, arithmetic included."""

# Not element-wise, and so no entry of the table: each value depends on all units of the node, the last axis. It is an
# activation by itself alone, of the net input, and executors know its derivative: d -> y * (d - sum(d * y)).
softmax = Function(
    "softmax", 1, _softmax, lambda a, y: _raise_not_elementwise(), "softmax({})", (0, 1), costly=True
)


def _raise_not_elementwise() -> tuple[Expression, ...]:
    raise AssertionError("a softmax has no derivatives unit by unit")


def is_softmax(activation: Expression) -> bool:
    """Whether an activation works on all units of a node together.

    >>> is_softmax(ACTIVATIONS["softmax"]), is_softmax(ACTIVATIONS["tanh"])
    (True, False)
    """
    return isinstance(activation, Call) and activation.function is softmax


ACTIVATIONS = (
    {"identity": Net(), "softmax": softmax(Net())}
    | {function.name: function(Net()) for function in NAMED if function.arity == 1}
    | {composite.name: composite(Net()) for composite in COMPOSITES.values()}
)
"""What a bare function name means as an activation: the function of the node's net input."""
