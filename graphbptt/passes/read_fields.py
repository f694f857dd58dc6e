"""Fields -> arrays whose shapes are known to agree: the first half of `bind_batch`.

    layout := (axis, ...)         the axes an array must have, in order
    axis   := int                 exactly that many
            | "batch" | "time"    as many as every other field has

A `FieldReader` collects problems instead of stopping at the first one, so that one error can name them all.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy.typing as npt

from graphbptt.errors import DataError, Problem, did_you_mean
from graphbptt.passes.read_arrays import to_array

__all__ = ["NUMERIC", "FieldReader", "Layout"]

Array = npt.NDArray[Any]
Axis = int | Literal["batch", "time"]
Layout = tuple[Axis, ...]

NUMERIC = "biuf"
"""The kinds of NumPy types that count as numbers."""


class FieldReader:
    """Reads fields by name, remembers what the sizes of their axes say, and what is wrong with them."""

    def __init__(self, fields: Mapping[str, npt.ArrayLike]) -> None:
        if not isinstance(fields, Mapping):
            what = f"{type(fields).__name__} given"
            raise DataError(Problem("fields", what, "give a dictionary of arrays by field name"))
        self._fields = fields
        self._arrays: dict[str, Array | None] = {}
        self._sizes: dict[str, dict[str, int]] = {"batch": {}, "time": {}}
        self._problems: dict[Problem, None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def reject_near(self, name: str, declared: Collection[str]) -> None:
        """Note the fields that nothing declares but whose names are almost `name`, a field that need not be there."""
        if name in self._fields:
            return
        for given in self._fields:
            if isinstance(given, str) and given not in declared and _is_near(given.casefold(), name):
                self.report(
                    f"field {given}",
                    "nothing reads it",
                    f"did you mean {name!r}? Else rename it or leave it out",
                )

    def report(self, path: str, what: str, instead: str = "") -> None:
        """Note a problem; the same one twice is noted once."""
        self._problems[Problem(path, what, instead)] = None

    def raise_problems(self) -> None:
        """Raise a `DataError` with every problem noted so far, if there is any."""
        if self._problems:
            raise DataError(self._problems)

    def read(self, name: str, user: str, *layouts: Layout, integers: bool = False) -> Array | None:
        """The array of a field, if it fits one of the `layouts`; None, and a problem, if it fits none.

        `user` says what reads it ("clamp of x"), for the message; `integers` asks for an integer type.
        """
        array = self._convert(name, user)
        if array is None:
            return None
        layout = next((layout for layout in layouts if _fits(array.shape, layout)), None)
        if layout is None:
            expected = " or ".join(dict.fromkeys(map(_show, layouts)))
            self.report(f"field {name}", f"shape {array.shape} given", f"the {user} needs {expected}")
            return None
        if integers and array.dtype.kind not in "iu":
            self.report(f"field {name}", f"{array.dtype} given", f"the {user} needs integers")
            return None
        for axis, size in zip(layout, array.shape, strict=True):
            if isinstance(axis, str):
                self._sizes[axis][name] = size
        return array

    def measure(self, steps: int | None, size: int | None = None) -> tuple[int, int] | None:
        """The batch size and the number of steps on which all fields agree; None, and a problem, if not.

        Without any field the batch is as many sequences as carry a state, or one, run from the initial state.
        """
        if size is not None:
            self._sizes["batch"] = {"state": size, **self._sizes["batch"]}
        if steps is not None:
            try:
                self._sizes["time"] = {"steps": operator.index(steps), **self._sizes["time"]}
            except TypeError:
                self.report("steps", f"{steps!r} given", "give a whole number")
                return None
        agreed = self._agree("batch")
        time = self._agree("time")
        # A field that could not be read may have one.
        if not self._sizes["time"] and not self._problems:
            self.report("steps", "no field has a time axis", "give steps=..., the number of steps to compute")
        return None if agreed is None or time is None else (agreed, time)

    def _convert(self, name: str, user: str) -> Array | None:
        if name in self._arrays:
            return self._arrays[name]
        array: Array | None = None
        if name not in self._fields:
            self.report(
                f"field {name}", f"is absent, but the {user} reads it", did_you_mean(name, [*self._fields])
            )
        else:
            array = self._to_array(name)
        self._arrays[name] = array
        return array

    def _to_array(self, name: str) -> Array | None:
        try:
            array = to_array(name, self._fields[name])
        except DataError as error:
            self._problems.update(dict.fromkeys(error.problems))
            return None
        if array.dtype.kind not in NUMERIC:
            self.report(f"field {name}", f"holds {array.dtype}", "give an array of real numbers")
            return None
        return array

    def _agree(self, axis: Literal["batch", "time"]) -> int | None:
        """The one size of an axis; fields that differ from the first are reported."""
        sizes = self._sizes[axis]
        if not sizes:
            return 1 if axis == "batch" else None
        first, size = next(iter(sizes.items()))
        for name, other in sizes.items():
            if other != size:
                asked = {"steps": f"steps={size}", "state": f"the state that is carried has {size}"}.get(
                    first, f"field {first} has {size}"
                )
                remedy = "".join(map(self._omit_time, (name, first))) if axis == "time" else ""
                self.report(
                    f"field {name}", f"{axis} axis of {other}", f"{asked}; they must be equal{remedy}"
                )
        if size < 1:
            name = first if first == "steps" else f"field {first}"
            empty = "the batch is empty" if axis == "batch" else f"{size} steps"
            self.report(name, empty, f"give at least one {'sequence' if axis == 'batch' else 'step'}")
        return size if size > 0 and set(sizes.values()) == {size} else None

    def _omit_time(self, name: str) -> str:
        """What to do with a field of one step that may have been meant for all; empty for others."""
        array = self._arrays.get(name)
        if array is None or array.shape[1] != 1:
            return ""
        shape = (len(array), *array.shape[2:])
        return f"; if {name} holds at every step, leave the time axis out: shape {shape}"


def _fits(shape: tuple[int, ...], layout: Layout) -> bool:
    return len(shape) == len(layout) and all(
        isinstance(axis, str) or axis == size for axis, size in zip(layout, shape, strict=True)
    )


def _is_near(word: str, name: str) -> bool:
    return name.removesuffix("s") in word or bool(difflib.get_close_matches(word, [name], cutoff=0.7))


def _show(layout: Layout) -> str:
    return f"({', '.join(map(str, layout))}{',' if len(layout) == 1 else ''})"
