"""(FoldedNetwork, fields) -> Batch of one step: `bind_batch` where its checks would cost more than the step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import DataError, Problem
from graphbptt.ir.batch import Batch, BoundClamp, CarriedState
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.noise import Noise
from graphbptt.passes.bind_batch import LENGTHS, UNREAD, Label, bind_batch, name_node

__all__ = ["bind_step"]

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
    """Check the fields of one step, (batch, units) each, and lay them out.

    Finite arrays of the right shape are taken as they are; everything else is left to `bind_batch`, which says what is
    wrong. The arguments are as there.

    Raises
    ------
    DataError
        A field is absent or cannot be used, or there are lengths.
    """
    plain = _bind_plain(network, fields, dtype, carried, size, noise) if type(fields) is dict else None
    if plain is not None:
        return plain
    batch = bind_batch(network, fields, 1, dtype, False, carried, size, noise, label)
    if LENGTHS in fields:
        raise DataError(Problem(f"field {LENGTHS}", "a step has no length", "leave it out"))
    return batch


def _bind_plain(
    network: FoldedNetwork,
    fields: Mapping[str, Any],
    dtype: np.dtype[Any],
    carried: CarriedState | None,
    size: int | None,
    noise: Noise | None,
) -> Batch | None:
    """The batch, if there is nothing about its fields that needs a closer look."""
    if LENGTHS in fields:
        return None
    bound = []
    for clamp in network.clamps:
        if clamp.at == "start" and carried is not None:
            bound.append(UNREAD)
            continue
        values = fields.get(clamp.field)
        part = clamp.mask is not None or clamp.columns is not None
        if clamp.at != "every" or part or not isinstance(values, np.ndarray):
            return None
        size = len(values) if size is None and values.ndim else size
        units = network.population[clamp.node].units if clamp.units is None else len(clamp.units)
        if values.shape != (size, units) or values.dtype.kind != "f" or not size:
            return None
        laid = values[None].astype(dtype, copy=False)
        if not np.isfinite(np.add.reduce(laid, axis=None)):
            return None
        bound.append(BoundClamp(laid, None))
    return Batch(1 if size is None else size, 1, None, tuple(bound), (), carried, noise)
