"""(FoldedNetwork, fields) -> Batch of one step, and what puts the fields of later steps into the same batch.

The checks of `bind_batch` cost more than a step. What they find out about names, shapes and types holds for every step
whose fields look the same; a `Feeder` asks no more than whether they do, and whether their numbers are finite.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from graphbptt.passes.read_fields import NUMERIC

__all__ = ["Feeder", "bind_step", "make_feeder"]

Array = npt.NDArray[Any]


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
    batch = bind_batch(network, fields, 1, dtype, False, carried, size, noise, label)
    if LENGTHS in fields:
        raise DataError(Problem(f"field {LENGTHS}", "a step has no length", "leave it out"))
    return batch


@dataclass(frozen=True, slots=True, eq=False)
class Inlet:
    """Where the values of a clamp go: `row`, of `shape` (batch, units) and `dtype`. From a field that several nodes
    share, `part` then gets its `columns`.

    `finite` says of each whether it is finite, and `shown` and `all_finite` are the bytes of this, as they are and as
    they should be: to compare bytes is the quickest.
    """

    field: str
    row: Array
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    finite: npt.NDArray[np.bool_]
    shown: memoryview
    all_finite: bytearray
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

    def feed(self, fields: Mapping[str, Any]) -> bool:
        """Whether the fields are of the kind that the batch was bound with, and finite: then the batch holds them."""
        if type(fields) is not dict or fields.keys() != self.names:
            return False
        for inlet in self.inlets:
            values, row = fields[inlet.field], inlet.row
            if type(values) is not np.ndarray or values.shape != inlet.shape:
                return False
            if values.dtype is inlet.dtype:
                np.copyto(row, values)
            elif values.dtype.kind in NUMERIC:
                with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite
                    np.copyto(row, values, casting="unsafe")
            else:
                return False
            np.isfinite(row, inlet.finite)
            if inlet.all_finite != inlet.shown:
                return False
            if inlet.columns is not None:
                np.take(row, inlet.columns, 1, inlet.part, "clip")
        return True


def make_feeder(network: FoldedNetwork, fields: Mapping[str, Any], batch: Batch) -> Feeder | None:
    """A feeder of steps like the one whose fields were bound; None where a step's clamps depend on more than values."""
    clamps, inlets = [], []
    for clamp, bound in zip(network.clamps, batch.clamps, strict=True):
        if clamp.at == "start":
            clamps.append(bound)
        elif clamp.at == "every" and clamp.mask is None:
            clamps.append(BoundClamp(np.array(bound.values, order="C"), None))
            inlets.append(_make_inlet(clamp, clamps[-1].values[0]))
        else:
            return None
    return Feeder(replace(batch, clamps=tuple(clamps)), frozenset(fields), tuple(inlets))


def _make_inlet(clamp: Clamp, part: Array) -> Inlet:
    """What puts a field into `part`."""
    columns = None if clamp.columns is None else np.array(clamp.columns.indices, np.intp)
    row = part if clamp.columns is None else np.empty((len(part), clamp.columns.width), part.dtype)
    finite = np.ones(row.shape, np.bool_)
    all_finite = bytearray(finite.data)
    return Inlet(clamp.field, row, row.shape, row.dtype, finite, finite.data, all_finite, part, columns)
