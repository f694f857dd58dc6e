"""Copies of parameters: made before a sequence, and their derivatives added up after it.

`pack_copies` puts every use of a group where products and activations read it. `combine_copies` is its transpose, and
the only place where the derivatives of copies meet: by then each contraction over (time x batch) has added up the copies
of all steps; here those of all uses are added, through the same scales, transposes and selections.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.folded import FrozenArray, Use
from graphbptt.ir.plan import MatrixEntry, Plan, Selection
from graphbptt_numpy.workspace import Workspace

__all__ = ["combine_copies", "pack_copies"]

Array = npt.NDArray[Any]


def pack_copies(plan: Plan, space: Workspace) -> None:
    """Fill the packed vector and matrices from the workspace's parameters."""
    for entry in plan.vector:
        out = space.vector[entry.row.start : entry.row.stop]
        out[...] = entry.value.values if isinstance(entry.value, FrozenArray) else copy_of(plan, space, entry.value)
    for matrix in plan.matrices:
        if matrix.lone is not None:
            continue  # already a view of the parameter
        packed = space.matrices[matrix.name]
        packed[...] = 0
        for part in matrix.entries:
            packed[_index(part)] += 1.0 if part.use is None else copy_of(plan, space, part.use)
    space.pack_derived()


def copy_of(plan: Plan, space: Workspace, use: Use) -> Array:
    """The value of one use: ``scale * P`` or ``scale * P.T``."""
    parameter = plan.layout.view(space.parameters, use.group)
    return _map(parameter, use)


def combine_copies(plan: Plan, space: Workspace, initial: dict[str, Array], gradient: Array) -> None:
    """Add the derivatives of all copies of each free group; divide by their number where the group says `mean`.

    `initial` holds the derivative of each learned initial state, of shape (history, units).
    """
    gradient[...] = 0
    free = {group.name for group in plan.network.groups if group.trainable}
    for use, derivative in _derivatives(plan, space, initial):
        if use.group in free:
            total = plan.layout.view(gradient, use.group)
            total += _reduce(_map(derivative, use), total.shape)
    copies = plan.network.count_copies(space.steps)
    for group in plan.network.groups:
        if group.trainable and group.combine == "mean" and copies[group.name]:
            total = plan.layout.view(gradient, group.name)
            total /= copies[group.name]


def _derivatives(plan: Plan, space: Workspace, initial: dict[str, Array]) -> Iterator[tuple[Use, Array]]:
    """The derivative of every use, of the use's own shape or broadcast from it."""
    for entry in plan.vector:
        if isinstance(entry.value, Use):
            yield entry.value, space.vector_gradient[entry.row.start : entry.row.stop]
    for matrix in plan.matrices:
        for part in matrix.entries:
            if part.use is not None:
                yield part.use, space.matrix_gradients[matrix.name][_index(part)]
    for site in plan.initials:
        yield site.use, initial[site.population]


def _index(entry: MatrixEntry) -> tuple[Any, ...]:
    """Where an entry lies in its matrix: a block as slices or as a grid of indices, a diagonal as pairs."""
    if entry.diagonal:
        return np.asarray(entry.rows), np.asarray(entry.columns)
    if isinstance(entry.rows, range) and isinstance(entry.columns, range):
        return _slice(entry.rows), _slice(entry.columns)
    return np.ix_(np.asarray(entry.rows), np.asarray(entry.columns))


def _slice(selection: Selection) -> slice:
    return slice(selection[0], selection[-1] + 1)


def _map(array: Array, use: Use) -> Array:
    """``scale * A``, transposed if the use is: its own adjoint."""
    turned = array.T if use.transpose else array
    return turned if use.scale == 1 else use.scale * turned


def _reduce(array: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the axes along which a parameter of `shape` was repeated."""
    return array if array.shape == shape else array.sum() if shape == () else array.sum(axis=0)
