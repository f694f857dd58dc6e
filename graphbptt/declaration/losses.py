"""The loss of a target as it is written, with every option filled in.

loss := name | {name: {option: number}}        the names and their options are those of `LOSSES`
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphbptt.declaration.values import is_finite, mistake
from graphbptt.errors import did_you_mean
from graphbptt.ir.data import Loss
from graphbptt.ir.losses import LOSSES

__all__ = ["read_loss"]


def read_loss(value: Any) -> Loss:
    """A name, or a name with its options.

    >>> print(read_loss("huber"), read_loss({"huber": {"delta": 0.5}}), read_loss("poisson"))
    huber(delta=1) huber(delta=0.5) poisson
    """
    if isinstance(value, str):
        value = {value: {}}
    elif isinstance(value, Loss):
        value = {value.name: dict(value.options)}
    if not isinstance(value, Mapping) or len(value) != 1:
        raise mistake(
            f"{value!r} is no loss", "write a name, or a name with its options: {huber: {delta: 0.5}}"
        )
    ((name, options),) = value.items()
    if name not in LOSSES:
        raise mistake(f"{name!r} is not among the choices", did_you_mean(str(name), list(LOSSES)))
    defaults = LOSSES[name].options
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        raise mistake(f"{options!r} are no options", f"write {{{name}: {{option: number}}}}")
    for option, number in options.items():
        if option not in defaults:
            remedy = did_you_mean(str(option), list(defaults)) if defaults else f"write {name} alone"
            raise mistake(f"{name} has no option {option!r}", remedy)
        _check_number(f"{option} of {name}", number)
    return Loss(
        name, tuple((option, float(options.get(option, default))) for option, default in defaults.items())
    )


def _check_number(what: str, number: Any) -> None:
    if not is_finite(number) or number <= 0:
        raise mistake(f"{what} is {number!r}", "write a positive number")
