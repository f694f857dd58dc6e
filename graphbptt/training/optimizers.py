"""Optimizers: pairs of functions on the one flat vector of free parameters.

    optimizer := Optimizer(init, update)
    init      := parameters -> state
    update    := (gradient, state, parameters) -> None    writes the step over the gradient

An optimizer holds nothing itself: all that an update depends on is in its arguments. It writes over them,
so that no array is made after `init`; the caller adds the step to the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.choices import Adam, Adamw, OptimizerChoice, Rmsprop, Sgd

__all__ = ["OPTIMIZERS", "Optimizer", "State", "clip_norm", "make_optimizer"]

Array = npt.NDArray[Any]
State = dict[str, Array]


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


def sgd(settings: Sgd) -> Optimizer:
    """Gradient descent along a velocity (Polyak 1964; Nesterov's as in Sutskever et al. 2013)."""

    def init(parameters: Array) -> State:
        names = ("velocity", "scratch") if settings.momentum else ()
        return {name: np.zeros_like(parameters) for name in names}

    def update(gradient: Array, state: State, parameters: Array) -> None:  # noqa: ARG001
        if settings.momentum:
            velocity = state["velocity"]
            velocity *= settings.momentum
            velocity += gradient
            if settings.nesterov:
                np.multiply(velocity, settings.momentum, out=state["scratch"])
                gradient += state["scratch"]
            else:
                gradient[...] = velocity
        gradient *= -settings.rate

    return Optimizer(init, update)


def rmsprop(settings: Rmsprop) -> Optimizer:
    """Descent scaled by a running root mean square of each derivative (Tieleman and Hinton 2012)."""

    def init(parameters: Array) -> State:
        return {"square": np.zeros_like(parameters), "scratch": np.empty_like(parameters)}

    def update(gradient: Array, state: State, parameters: Array) -> None:  # noqa: ARG001
        _keep_square(state["square"], gradient, settings.decay, state["scratch"])
        _divide_by_root(gradient, state["square"], 1.0, settings.epsilon, state["scratch"])
        gradient *= -settings.rate

    return Optimizer(init, update)


def adam(settings: Adam) -> Optimizer:
    """Running means of the derivatives and their squares, corrected for their start (Kingma and Ba 2015)."""

    def init(parameters: Array) -> State:
        return {
            "count": np.zeros((), np.int64),
            "mean": np.zeros_like(parameters),
            "square": np.zeros_like(parameters),
            "scratch": np.empty_like(parameters),
        }

    def update(gradient: Array, state: State, parameters: Array) -> None:  # noqa: ARG001
        state["count"] += 1
        count = int(state["count"])
        _keep_square(state["square"], gradient, settings.beta2, state["scratch"])
        mean = state["mean"]
        mean *= settings.beta1
        gradient *= 1 - settings.beta1
        mean += gradient
        gradient[...] = mean
        _divide_by_root(
            gradient, state["square"], 1 - settings.beta2**count, settings.epsilon, state["scratch"]
        )
        gradient *= -settings.rate / (1 - settings.beta1**count)

    return Optimizer(init, update)


def adamw(settings: Adamw) -> Optimizer:
    """Adam, and a shrinking of every parameter apart from its scaling (Loshchilov and Hutter 2019)."""
    rule = adam(settings)

    def update(gradient: Array, state: State, parameters: Array) -> None:
        rule.update(gradient, state, parameters)
        shrink = state["scratch"]
        np.multiply(parameters, settings.rate * settings.weight_decay, out=shrink)
        gradient -= shrink

    return Optimizer(rule.init, update)


def _keep_square(square: Array, gradient: Array, decay: float, scratch: Array) -> None:
    np.multiply(gradient, gradient, out=scratch)
    scratch *= 1 - decay
    square *= decay
    square += scratch


def _divide_by_root(gradient: Array, square: Array, scale: float, epsilon: float, scratch: Array) -> None:
    np.divide(square, scale, out=scratch)
    np.sqrt(scratch, out=scratch)
    scratch += epsilon
    gradient /= scratch


OPTIMIZERS: Mapping[str, Callable[[Any], Optimizer]] = {
    "sgd": sgd,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
}
"""The factories, by the names that `OptimizerChoice` declares together with their settings."""


def make_optimizer(choice: OptimizerChoice) -> Optimizer:
    """The optimizer that was chosen, with its settings."""
    return OPTIMIZERS[choice.name](choice.options)


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
