"""The values of a declaration that have more than one form, read into one.

    values := number | [number, ...] | [[number, ...], ...]
    init   := values | name | {name: {number: value}}      the names are those of `DISTRIBUTIONS`
    units  := [index, ...] | {start: index, stop: index}
    steps  := [step, ...]                                  steps count from 1

Spec files hold plain lists and numbers, hand-built graphs NumPy's as well; the same functions read both.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from graphbptt.declaration.choices import Section
from graphbptt.errors import did_you_mean
from graphbptt.ir import parameters
from graphbptt.ir.initializers import DISTRIBUTIONS
from graphbptt.ir.parameters import Draws, FrozenArray, Initializer

__all__ = [
    "Count",
    "Init",
    "Integer",
    "Real",
    "UnitRange",
    "Units",
    "Values",
    "holds_values",
    "is_finite",
    "mistake",
    "read_indices",
    "read_init",
    "read_units",
    "read_values",
]


def mistake(what: str, instead: str) -> PydanticCustomError:
    """A validation error in the project's form: what is wrong; what to write instead."""
    return PydanticCustomError("mistake", "{what}", {"what": what, "instead": instead})


def is_finite(number: Any) -> bool:
    """Whether it is a real number that a float holds, which not every whole number of Python's is.

    >>> [is_finite(number) for number in (3, -0.5, True, float("nan"), 10**400)]
    [True, True, False, False, False]
    """
    real = isinstance(number, int | float | np.integer | np.floating) and not isinstance(number, bool)
    return real and bool(abs(number) <= sys.float_info.max)


def _unwrap(value: Any) -> Any:
    """A NumPy scalar as a Python one."""
    return value.item() if isinstance(value, np.generic) else value


Integer = Annotated[int, BeforeValidator(_unwrap)]
Count = Annotated[int, BeforeValidator(_unwrap), Field(ge=1)]
Real = Annotated[float, BeforeValidator(_unwrap)]


def holds_values(value: Any) -> bool:
    """Whether something is meant as a number or as a list of them."""
    return isinstance(value, int | float | list | tuple | np.ndarray | np.generic) and not isinstance(
        value, bool
    )


def read_values(value: Any) -> FrozenArray:
    """A number or a nested list of numbers as a constant.

    >>> read_values([1, 2])
    FrozenArray([1., 2.])
    """
    if isinstance(value, FrozenArray):
        return value
    if not holds_values(value):
        raise mistake(f"{value!r} is no number", "write a number, or a list of numbers")
    try:
        array = np.asarray(value)
    except ValueError:
        raise mistake("the rows of this list differ in length", "write rows of one length") from None
    if array.dtype.kind not in "iuf" or array.size == 0:
        raise mistake("this list does not hold numbers alone", "write a list of numbers")
    if not np.isfinite(array).all():
        raise mistake("a number here is NaN or infinite", "write finite numbers")
    return FrozenArray(array)


def read_init(value: Any) -> parameters.Init:
    """Starting values: numbers, or a distribution with all its numbers filled in.

    >>> print(read_init({"normal": {"std": 0.1}}))
    normal(mean=0, std=0.1)
    """
    if isinstance(value, Initializer | FrozenArray | Draws):
        return value
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, Mapping):
        return read_values(value)
    if len(value) != 1:
        raise mistake("an init names one distribution", "write e.g. {normal: {std: 0.1}}")
    ((name, numbers),) = value.items()
    if name not in DISTRIBUTIONS:
        raise mistake(f"unknown init {name!r}", did_you_mean(str(name), list(DISTRIBUTIONS)))
    distribution = DISTRIBUTIONS[name]
    numbers = {} if numbers is None else numbers
    if not isinstance(numbers, Mapping):
        keys = ", ".join(f"{key}: {default:g}" for key, default in distribution.defaults.items())
        raise mistake(f"the numbers of {name} have names", f"write {{{name}: {{{keys}}}}}")
    for key, number in numbers.items():
        if key not in distribution.defaults:
            raise mistake(
                f"{name} has no number {key!r}", did_you_mean(str(key), list(distribution.defaults))
            )
        if not is_finite(_unwrap(number)):
            raise mistake(f"{key} of {name} is {number!r}", "write a finite number")
    filled = {key: float(numbers.get(key, default)) for key, default in distribution.defaults.items()}
    if (what := distribution.reject(filled)) is not None:
        raise mistake(f"{name}: {what}", "write numbers that make a distribution")
    return Initializer(name, tuple(filled.items()))


class UnitRange(Section):
    """Units from `start` up to but without `stop`; the last one where there is no `stop`."""

    start: Annotated[Integer, Field(ge=0)] = Field(0, description="The first unit.")
    stop: Count | None = Field(
        None, description="The unit after the last one; without it, the range goes to the end."
    )

    def list(self, units: int) -> tuple[int, ...]:
        """The indices, of a population of `units` units; a range that reaches too far lists one too many."""
        return tuple(range(self.start, units if self.stop is None else min(self.stop, units + 1)))


def read_indices(value: Any, first: int, noun: str) -> tuple[int, ...]:
    """A list of distinct whole numbers, none below `first`."""
    if isinstance(value, np.ndarray | range):
        value = list(value)
    if not isinstance(value, list | tuple):
        raise mistake(f"{value!r} is no list of {noun}s", f"write a list such as [{first}, {first + 1}]")
    if not value:
        raise mistake(f"no {noun}s are listed", "list at least one")
    indices = tuple(_unwrap(item) for item in value)
    seen: set[int] = set()
    for index in indices:
        if type(index) is not int or index < first:
            raise mistake(f"{index!r} is no {noun}", f"{noun}s are whole numbers that count from {first}")
        if index in seen:
            raise mistake(f"{noun} {index} is listed twice", "list it once")
        seen.add(index)
    return indices


def read_units(value: Any) -> tuple[int, ...] | UnitRange | None:
    """The units of a part of a population; None is all of it."""
    if value is None or isinstance(value, UnitRange):
        return value
    if isinstance(value, Mapping):
        return UnitRange.model_validate(dict(value))
    return read_indices(value, 0, "unit")


Values = Annotated[FrozenArray, PlainValidator(read_values)]
Init = Annotated[parameters.Init, PlainValidator(read_init)]
Units = Annotated[tuple[int, ...] | UnitRange | None, PlainValidator(read_units)]
