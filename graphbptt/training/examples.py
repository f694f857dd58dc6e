"""An npz as independent examples: normalised and divided whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.run_schema import DataDeclaration, FieldDeclaration
from graphbptt.errors import DataError, Problem, did_you_mean
from graphbptt.passes.bind_batch import LENGTHS
from graphbptt.training.dataset import Dataset, Parts
from graphbptt.training.division import Rows, check_counts, choose_rows, normalise, total_variance
from graphbptt.training.tables import read_arrays

__all__ = ["read_examples"]

Array = npt.NDArray[Any]


def read_examples(declaration: DataDeclaration, path: Path) -> Parts:
    """Read an npz whose arrays count examples on axis 0; without declared fields, each array is one."""
    split = declaration.split
    by = split.by if split is not None else None
    named = {
        source: f"data.fields.{name}" for name, item in declaration.fields.items() for source in item.source
    }
    ordered = {} if by is None else {by: "data.split.by"}
    arrays = read_arrays(path, {**ordered, **named} if named else None)
    declared = declaration.fields or {
        name: FieldDeclaration.model_validate({"from": name}) for name in arrays if name != by
    }
    problems = list(_find_problems(declared, by, arrays, path))
    if problems:
        raise DataError(problems)
    problems = list(_find_length_problems(declared, by, arrays))
    if problems:
        raise DataError(problems)
    whole = Dataset({name: arrays[item.source[0]] for name, item in declared.items()}, declaration.steps)
    check_counts(split, len(whole))
    order = np.arange(1.0, len(whole) + 1) if by is None else arrays[by]
    chosen = choose_rows(split, order, np.random.default_rng(declaration.seed))
    scaled = Dataset(
        {
            name: normalise(array, _real_rows(whole, name, chosen["train"]))
            if declared[name].normalise
            else array
            for name, array in whole.fields.items()
        },
        declaration.steps,
    )
    everywhere = np.ones(len(whole), np.bool_)
    variance = {
        name: total_variance(_real_rows(scaled, name, everywhere))
        for name, array in scaled.fields.items()
        if array.dtype.kind == "f"
    }
    return Parts.of({name: scaled.take(np.flatnonzero(own)) for name, own in chosen.items()}, variance)


def _find_problems(
    declared: dict[str, FieldDeclaration], by: str | None, arrays: dict[str, Array], path: Path
) -> Iterator[Problem]:
    for name, item in declared.items():
        field = f"data.fields.{name}"
        if len(item.source) > 1:
            yield Problem(field, "several arrays for one field", "name one; several columns are for a csv")
        if item.lead:
            yield Problem(
                f"{field}.lead", "an array's rows are examples, not steps", "shift the array itself"
            )
        for source in item.source:
            if arrays[source].dtype.kind not in "fiub":
                what = f"array {source!r} is of {arrays[source].dtype}"
                yield Problem(field, what, f"store numbers, or {_leave_out(declared, name)}")
    if by is not None and by not in arrays:
        yield Problem("data.split.by", f"{path} has no array {by!r}", did_you_mean(by, list(arrays)))
    elif by is not None and arrays[by].ndim != 1:
        yield Problem("data.split.by", f"array {by!r} has {arrays[by].ndim} axes", "one number per example")


def _leave_out(declared: dict[str, FieldDeclaration], name: str) -> str:
    """How not to read an array that is no field of the network."""
    others = ", ".join(f"{other}: {item.source[0]}" for other, item in declared.items() if other != name)
    return f"name the arrays that are read: data.fields: {{{others}}}"


def _find_length_problems(
    declared: dict[str, FieldDeclaration], by: str | None, arrays: dict[str, Array]
) -> Iterator[Problem]:
    """What is wrong with sizes and lengths; the arrays are known to be there and to hold numbers."""
    fields = {name: arrays[item.source[0]] for name, item in declared.items()}
    examples = {len(array) for array in fields.values() if array.ndim}
    for name in fields if len(examples) > 1 else ():
        said = f"array {declared[name].source[0]!r} has shape {fields[name].shape}"
        remedy = f"store as many examples of each, or {_leave_out(declared, name)}"
        yield Problem(f"data.fields.{name}", said, remedy)
    if by is not None and examples != {len(arrays[by])}:
        said = f"array {by!r} has {len(arrays[by])} entries, the fields {sorted(examples)}"
        yield Problem("data.split.by", said, "store one number per example")
    if LENGTHS not in fields:
        return
    lengths, path = fields[LENGTHS], f"data.fields.{LENGTHS}"
    steps = max((array.shape[1] for array in fields.values() if array.ndim == 3), default=None)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        said = f"the array is of {lengths.dtype} with shape {lengths.shape}"
        yield Problem(path, said, "store one whole number per example, shape (examples,)")
    elif steps is not None and lengths.size and (lengths.min() < 1 or lengths.max() > steps):
        said = f"the lengths go from {lengths.min()} to {lengths.max()}"
        yield Problem(path, said, f"a length is at least 1 and at most the number of steps, {steps}")


def _real_rows(data: Dataset, name: str, chosen: Rows) -> Array:
    """The values of the chosen examples, a row a step, without the padding after a sequence's end."""
    array = data.fields[name][chosen]
    if array.ndim == 3 and LENGTHS in data.fields:
        return array[np.arange(array.shape[1]) < data.fields[LENGTHS][chosen][:, None]]
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])
