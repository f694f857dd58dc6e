"""(FoldedNetwork, fields) -> Batch of one step, and what puts the fields of later steps into the same batch.

The checks of `bind_batch` cost more than a step. What they find out about names, shapes and types holds for every step
whose fields look the same; a `Feeder` asks no more than whether they do, and whether their numbers are finite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import DataError, Problem
from graphbptt.ir.batch import Batch, BoundClamp, CarriedState
from graphbptt.ir.data import Clamp
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.noise import Noise
from graphbptt.passes.bind_batch import LENGTHS, Label, bind_batch, name_node
from graphbptt.passes.read_arrays import to_array
from graphbptt.passes.read_fields import NUMERIC

__all__ = ["Feeder", "bind_step", "make_feeder"]

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def bind_step(
    network: FoldedNetwork,
    fields: Mapping[str, npt.ArrayLike],
    dtype: np.dtype[Any],
    carried: CarriedState | None = None,
    size: int | None = None,
    noise: Noise | None = None,
    label: Label = name_node,
) -> Batch:
    """Check the fields of one step, (batch, units) each, and lay them out; the arguments are those of `bind_batch`.

    Raises
    ------
    DataError
        A field is absent or cannot be used, or there are lengths.
    """
    if problems := list(_find_time(network, fields)):
        raise DataError(problems)
    batch = bind_batch(network, fields, 1, dtype, False, carried, size, noise, label)
    if LENGTHS in fields:
        raise DataError(Problem(f"field {LENGTHS}", "a step has no length", "leave it out"))
    return batch


def _find_time(network: FoldedNetwork, fields: Mapping[str, npt.ArrayLike]) -> Iterator[Problem]:
    """The fields of whole sequences among those of a step."""
    # What comes before step 1 may be given for several steps, as rows of history.
    clamps = [clamp for clamp in network.clamps if clamp.at != "start"]
    declared = (name for clamp in clamps for name in (clamp.field, clamp.mask) if name is not None)
    for name in dict.fromkeys(declared):
        if isinstance(fields, Mapping) and name in fields:
            shape = to_array(name, fields[name]).shape
            if len(shape) == 3 and shape[1] != 1:
                what = f"shape {shape} given, with {shape[1]} steps"
                yield Problem(f"field {name}", what, f"one step is (batch, units): give {name}[:, t]")


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """Where a clamp holds: `mask`, (batch, units), is the field of ones and zeros, if there is one, at the listed
    `steps`, if they are listed. Of a field that several nodes share, `part` then gets its `columns`.

    `right` says of each number of the field whether it is one or zero, and `shown` and `all_right` are the bytes of
    this, as they are and as they should be: to compare bytes is the quickest.
    """

    field: str | None
    steps: frozenset[int] | None
    mask: Mask
    right: Mask
    shown: memoryview
    all_right: bytearray
    part: Mask
    columns: Array | None

    def turn(self, fields: Mapping[str, Any], step: int) -> bool:
        """Whether the field needs no closer look: then the mask is that of a step."""
        mask = self.mask
        if self.field is not None:
            given = fields[self.field]
            if type(given) is not np.ndarray or given.shape != mask.shape or given.dtype.kind not in NUMERIC:
                return False
            np.copyto(mask, given, casting="unsafe")
            np.equal(mask, given, self.right)
            if self.all_right != self.shown:
                return False
        if self.steps is not None:
            if step not in self.steps:
                mask.fill(False)
            elif self.field is None:
                mask.fill(True)
        if self.columns is not None:
            np.take(mask, self.columns, 1, self.part, "clip")
        return True


@dataclass(frozen=True, slots=True, eq=False)
class Inlet:
    """Where the values of a clamp go that its gate, if it has one, lets through: `row`, of `shape` (batch, units) and
    `dtype`. From a field that several nodes share, `part` then gets its `columns`. `right` says of each whether it is
    finite; its bytes are those of a `Gate`.
    """

    field: str
    row: Array
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    gate: Gate | None
    right: Mask
    shown: memoryview
    all_right: bytearray
    part: Array
    columns: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class Feeder:
    """The arrays of a batch of one step, into which the fields of other steps are put.

    `names` are those of the fields with which the batch was bound, and which `bind_batch` has found to be right.
    """

    batch: Batch
    names: frozenset[str]
    inlets: tuple[Inlet, ...]

    def feed(self, fields: Mapping[str, Any], step: int) -> bool:
        """Whether the fields are of the kind that the batch was bound with, finite, and masks ones and zeros: then the
        batch holds them. Listed steps count like `step`, from 1."""
        if type(fields) is not dict or fields.keys() != self.names:
            return False
        for inlet in self.inlets:
            values, row, gate = fields[inlet.field], inlet.row, inlet.gate
            if type(values) is not np.ndarray or values.shape != inlet.shape:
                return False
            if gate is not None:
                if values.dtype.kind not in NUMERIC or not gate.turn(fields, step):
                    return False
                row.fill(0)
                with np.errstate(over="ignore", invalid="ignore"):
                    np.copyto(row, values, "unsafe", gate.mask)
            elif values.dtype is inlet.dtype:
                np.copyto(row, values)
            elif values.dtype.kind in NUMERIC:
                with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite
                    np.copyto(row, values, casting="unsafe")
            else:
                return False
            np.isfinite(row, inlet.right)
            if inlet.all_right != inlet.shown:
                return False
            if inlet.columns is not None:
                np.take(row, inlet.columns, 1, inlet.part, "clip")
        return True


def make_feeder(network: FoldedNetwork, fields: Mapping[str, Any], batch: Batch) -> Feeder:
    """A feeder of steps like the one whose fields were bound."""
    clamps, inlets = [], []
    for clamp, bound in zip(network.clamps, batch.clamps, strict=True):
        if clamp.at != "start":
            # Of our own, and as large as they look.
            mask = None if bound.mask is None else np.array(bound.mask, order="C")
            bound = BoundClamp(np.array(bound.values, order="C"), mask)
            inlets.append(_make_inlet(clamp, bound))
        clamps.append(bound)
    return Feeder(replace(batch, clamps=tuple(clamps)), frozenset(fields), tuple(inlets))


def _make_inlet(clamp: Clamp, bound: BoundClamp) -> Inlet:
    """What puts a field into the one step of a bound clamp."""
    part = bound.values[0]
    columns = None if clamp.columns is None else np.array(clamp.columns.indices, np.intp)
    row = part if clamp.columns is None else np.empty((len(part), clamp.columns.width), part.dtype)
    gate = None
    if bound.mask is not None:
        mask = bound.mask[0] if columns is None else np.empty(row.shape, np.bool_)
        steps = frozenset(clamp.at) if isinstance(clamp.at, tuple) else None
        gate = Gate(clamp.mask, steps, mask, *_make_check(row.shape), bound.mask[0], columns)
    return Inlet(clamp.field, row, row.shape, row.dtype, gate, *_make_check(row.shape), part, columns)


def _make_check(shape: tuple[int, ...]) -> tuple[Mask, memoryview, bytearray]:
    """Whether each number is right, the bytes of that, and the bytes where all are."""
    right = np.ones(shape, np.bool_)
    return right, right.data, bytearray(right.data)
