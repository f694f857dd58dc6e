"""Copies of parameters: made before a sequence, and their derivatives added up after it.

`bind_packing` puts every use of a group where products and activations read it. `bind_combining` is its transpose, and
the only place where the derivatives of copies meet: by then each contraction over (time x batch) has added up the
copies of all steps; here those of all uses are added, through the same scales, transposes and selections.

Both bind what they do to memory once and return a list of calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.parameters import FrozenArray, Use
from graphbptt.ir.plan import Matrix, MatrixEntry, Plan, Selection
from graphbptt_numpy.workspace import Workspace

__all__ = ["bind_averaging", "bind_combining", "bind_packing", "copy_of"]

Array = npt.NDArray[Any]
Call = Callable[[], object]
Index = tuple[Any, ...]


def bind_packing(plan: Plan, space: Workspace) -> list[Call]:
    """Fill the packed vector and matrices; what is constant is filled at once, the rest by the calls returned."""
    calls: list[Call] = []
    for entry in plan.vector:
        out = space.vector[entry.row.start : entry.row.stop]
        if isinstance(entry.value, FrozenArray):
            out[...] = entry.value.values
        else:
            calls.append(_write(out, copy_of(plan, space, entry.value), entry.value.scale))
    for matrix in plan.matrices:
        calls.extend(_pack_matrix(plan, space, matrix))
    return calls


def _pack_matrix(plan: Plan, space: Workspace, matrix: Matrix) -> Iterator[Call]:
    packed = space.matrices[matrix.name]
    indices = [_index(entry, packed.shape[-1]) for entry in matrix.entries]
    overlap = _overlaps(packed.shape, indices)
    if overlap:
        yield partial(packed.fill, 0)
    for entry, index in zip(matrix.entries, indices, strict=True):
        if entry.use is None:
            packed[index] += entry.constant
            if overlap:
                yield partial(_add_at, packed, index, np.asarray(entry.constant, packed.dtype), 1.0)
        elif overlap or not _is_block(entry):
            add = _add_at if overlap else _put_at
            yield partial(add, packed, index, copy_of(plan, space, entry.use), entry.use.scale)
        else:
            yield _write(packed[index], copy_of(plan, space, entry.use), entry.use.scale)


def copy_of(plan: Plan, space: Workspace, use: Use) -> Array:
    """A view of one use's parameter, P or P.T, before its scale."""
    parameter = plan.layout.view(space.parameters, use.group)
    return parameter.T if use.transpose else parameter


def bind_combining(plan: Plan, space: Workspace) -> list[Call]:
    """Add the derivatives of all copies of each free group into the workspace's gradient."""
    calls: list[Call] = []
    begun: set[str] = set()
    for use, derivative in _derivatives(plan, space):
        if plan.network.group[use.group].trainable:
            total = plan.layout.view(space.gradient, use.group)
            calls.append(_accumulate(total, derivative, use, first=use.group not in begun))
            begun.add(use.group)
    return calls


def bind_averaging(plan: Plan, space: Workspace, offset: int) -> list[Call]:
    """Divide the sums of the groups that combine by `mean` by the number of their copies.

    There may be none, if all its targets are clamped: then the sum is zero. `offset` steps lie before the batch.
    """
    calls: list[Call] = []
    copies = plan.network.after(offset).count_copies(space.steps)
    for group in plan.network.groups:
        if group.trainable and group.combine == "mean" and copies[group.name]:
            total = plan.layout.view(space.gradient, group.name)
            calls.append(partial(np.divide, total, total.dtype.type(copies[group.name]), out=total))
    return calls


def _derivatives(plan: Plan, space: Workspace) -> Iterator[tuple[Use, Callable[[], Array] | Array]]:
    """The derivative of every use, of the use's own shape or one from which it was repeated."""
    for entry in plan.vector:
        if isinstance(entry.value, Use):
            yield entry.value, space.vector_gradient[entry.row.start : entry.row.stop]
    for matrix in plan.matrices:
        gradient = space.matrix_gradients[matrix.name]
        for part in matrix.entries:
            if part.use is not None:
                index = _index(part, gradient.shape[-1])
                yield part.use, gradient[index] if _is_block(part) else partial(gradient.__getitem__, index)
    for site in plan.initials:
        yield site.use, space.initial_gradients[site.population]


def _accumulate(total: Array, derivative: Callable[[], Array] | Array, use: Use, first: bool) -> Call:
    """``total (+)= scale * derivative``, transposed as the use is, summed where the parameter was repeated."""
    if isinstance(derivative, np.ndarray):
        turned = derivative.T if use.transpose else derivative
        if first and turned.size == total.size:
            return _write(total, turned.reshape(total.shape), use.scale)

    def add() -> None:
        value = derivative if isinstance(derivative, np.ndarray) else derivative()
        value = _reduce(value.T if use.transpose else value, total.shape)
        np.add(0 if first else total, use.scale * value, out=total)

    return add


def _write(out: Array, value: Array, scale: float) -> Call:
    if scale == 1:
        return partial(np.copyto, out, value)
    return partial(np.multiply, value, out.dtype.type(scale), out=out)


def _put_at(packed: Array, index: Index, value: Array, scale: float) -> None:
    packed[index] = scale * value


def _add_at(packed: Array, index: Index, value: Array, scale: float) -> None:
    packed[index] += scale * value


def _overlaps(shape: tuple[int, ...], indices: Sequence[Index]) -> bool:
    """Whether two connections weigh the same pair of units, as parallel edges do."""
    if len(indices) == 1:
        return False
    count = np.zeros(shape, np.int32)
    for index in indices:
        count[index] += 1
    return int(count.max()) > 1


def _is_block(entry: MatrixEntry) -> bool:
    return not entry.diagonal and isinstance(entry.rows, range) and isinstance(entry.columns, range)


def _index(entry: MatrixEntry, width: int) -> Index:
    """Where an entry lies in its matrix, (lane, row, column) with `width` columns in a lane: a block as slices or as a
    grid of indices, a diagonal as pairs."""
    lane = entry.columns[0] // width
    if _is_block(entry):
        return lane, _slice(entry.rows, 0), _slice(entry.columns, lane * width)
    rows, columns = np.asarray(entry.rows), np.asarray(entry.columns) - lane * width
    return (lane, rows, columns) if entry.diagonal else (lane, *np.ix_(rows, columns))


def _slice(selection: Selection, start: int) -> slice:
    return slice(selection[0] - start, selection[-1] + 1 - start)


def _reduce(array: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the axes along which a parameter of `shape` was repeated."""
    return array if array.shape == shape else array.sum() if shape == () else array.sum(axis=0)
