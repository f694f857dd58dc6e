"""What is given and what is wanted: clamps and targets, which tie states to fields of the data.

clamp   := Clamp(node, field, units, at, mask, columns)
                                                at := every | start | (step, ...)
target  := Target(node, field, loss, units, at, mask, weight, columns)
                                                at := every | last | Last(k) | (step, ...)
loss    := Loss(name, options)
columns := Columns(indices, width)              a part of a field that several nodes share

A user may give several nodes of one unit each in place of one; in a folded network each has its own columns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from graphbptt.errors import Problem, SpecError

__all__ = ["Clamp", "Columns", "Last", "Loss", "LossName", "Target"]

LossName = Literal["squared_error", "cross_entropy", "binary_cross_entropy", "poisson", "huber"]


@dataclass(frozen=True, slots=True)
class Loss:
    """How states and wanted values are compared: a name of `graphbptt.ir.losses.LOSSES`, and numbers that belong to it.

    >>> print(Loss("huber", (("delta", 0.5),)))
    huber(delta=0.5)
    """

    name: str
    options: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        options = ", ".join(f"{key}={value:g}" for key, value in self.options)
        return f"{self.name}({options})" if options else self.name


@dataclass(frozen=True, slots=True)
class Last:
    """The last `steps` steps of each sequence."""

    steps: int

    def __post_init__(self) -> None:
        if (type(self.steps) is not int and not isinstance(self.steps, np.integer)) or self.steps < 1:
            problem = Problem(
                f"Last({self.steps!r})", "it is no number of steps", "write a whole number from 1 on"
            )
            raise SpecError(problem)


@dataclass(frozen=True, slots=True)
class Columns:
    """Some of the `width` columns of a field, in the order of the units that they are for."""

    indices: tuple[int, ...]
    width: int


def _freeze(items: Any) -> Any:
    """A list, range or array as a tuple; what is none of them is left as it is, for `fold_graph` to judge."""
    return tuple(items) if isinstance(items, list | range | np.ndarray) else items


def _freeze_loss(loss: Any) -> Any:
    """A name, or a name with its options, as a `Loss`; what is neither is left as it is."""
    if isinstance(loss, str):
        return Loss(loss)
    if isinstance(loss, Mapping) and len(loss) == 1:
        ((name, options),) = loss.items()
        if isinstance(name, str) and isinstance(options, Mapping):
            return Loss(name, tuple(options.items()))
    return loss


@dataclass(frozen=True, slots=True)
class Clamp:
    """Set the states of a node, or of some of its units, to a field of the data.

    Parameters
    ----------
    node : node of the graph, or list of such
        The node; or several of one unit each, which together are clamped to one field with as many units.
    field : str
        The name of the field that holds the values.
    units : tuple of int, optional
        The clamped units; None is all. The field has that many units.
    at : "every", "start", or tuple of int
        Every step, the initial state (all history rows of the units), or the listed steps, which count from 1.
    mask : str, optional
        A field of zeros and ones, of the values' shape or with one number per step; zero leaves the state free.
    columns : Columns, optional
        What a folded clamp reads of a field that several nodes share; None is all of it.
    """

    node: Any
    field: str
    units: tuple[int, ...] | None = None
    at: Literal["every", "start"] | tuple[int, ...] = "every"
    mask: str | None = None
    columns: Columns | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "node", _freeze(self.node))
        object.__setattr__(self, "units", _freeze(self.units))
        object.__setattr__(self, "at", _freeze(self.at))


@dataclass(frozen=True, slots=True)
class Target:
    """Put a loss between the states of a node, or of some of its units, and a field of the data.

    Parameters
    ----------
    node : node of the graph, or list of such
        The node; or several of one unit each, of which together one field with as many units is wanted.
    field : str
        The name of the field that holds the wanted values (integer labels for cross_entropy).
    loss : {"squared_error", "cross_entropy", "binary_cross_entropy", "poisson", "huber"}, or {name: {option: number}}
        squared_error is half the sum over units of the squared difference; cross_entropy takes the states as logits
        of a softmax, or, where the activation is softmax, as these probabilities; binary_cross_entropy takes them as
        probabilities; poisson takes them as rates, of counts that are wanted, and leaves out the logarithm of the
        counts' factorials; huber is squared_error up to a difference of `delta`, 1 if not said, and grows linearly
        from there: ``{"huber": {"delta": 0.5}}``.
    units : tuple of int, optional
        The units that have a target; None is all.
    at : "every", "last", Last(k), or tuple of int
        Every step, each sequence's own last step, its last k steps, or the listed steps, which count from 1.
    mask : str, optional
        A field with one number per step (or per sequence, where the target is static) that weights the steps.
    weight : float
        The factor of this target in the total loss.
    columns : Columns, optional
        What a folded target reads of a field that several nodes share; None is all of it.
    """

    node: Any
    field: str
    loss: Loss | LossName | Mapping[LossName, Mapping[str, float]] = "squared_error"
    units: tuple[int, ...] | None = None
    at: Literal["every", "last"] | Last | tuple[int, ...] = "every"
    mask: str | None = None
    weight: float = 1.0
    columns: Columns | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "node", _freeze(self.node))
        object.__setattr__(self, "loss", _freeze_loss(self.loss))
        object.__setattr__(self, "units", _freeze(self.units))
        object.__setattr__(self, "at", _freeze(self.at))

    @property
    def loss_name(self) -> str:
        """The name of the loss, without its options."""
        return self.loss.name if isinstance(self.loss, Loss) else str(self.loss)
