"""Copies of parameters: made before a sequence, and their derivatives added up after it.

`bind_packing` puts every use of a group where products and activations read it. `bind_combining` is its transpose, and
the only place where the derivatives of copies meet: by then each contraction over (time x batch) has added up the
copies of all steps; here those of all uses are added, through the same scales, transposes and selections.

What an index map reads is gathered first, so that a copy is an array like any other; its derivative is added up by the
same map. Both bind what they do to memory once and return a list of calls.
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

__all__ = ["bind_combining", "bind_packing"]

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
            calls.append(_write(out, space.copy_of(entry.value), entry.value.scale))
    for matrix in plan.matrices:
        calls.extend(_pack_matrix(space, matrix))
    calls.extend(
        _write(space.blocks[block.name].values, space.copy_of(block.use), block.use.scale)
        for block in plan.blocks
    )
    return [*space.gathering(), *calls]


def _pack_matrix(space: Workspace, matrix: Matrix) -> Iterator[Call]:
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
        elif overlap or not entry.is_block:
            add = _add_at if overlap else _put_at
            yield partial(add, packed, index, space.copy_of(entry.use), entry.use.scale)
        else:
            yield _write(packed[index], space.copy_of(entry.use), entry.use.scale)


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
                yield part.use, gradient[index] if part.is_block else partial(gradient.__getitem__, index)
    for block in plan.blocks:
        yield block.use, space.blocks[block.name].gradient
    for site in plan.initials:
        yield site.use, space.initial_gradients[site.population]


def _accumulate(total: Array, derivative: Callable[[], Array] | Array, use: Use, first: bool) -> Call:
    """``total (+)= scale * derivative``, transposed or added up as the use is, summed where it was repeated."""
    index = use.index
    if isinstance(derivative, np.ndarray) and index is None:
        turned = derivative.T if use.transpose else derivative
        if first and turned.size == total.size:
            return _write(total, turned.reshape(total.shape), use.scale)

    def add() -> None:
        value = derivative if isinstance(derivative, np.ndarray) else derivative()
        if index is None:
            value = _reduce(value.T if use.transpose else value, total.shape)
        else:
            value = index.add_up(_reduce(value, index.shape), total.size).reshape(total.shape)
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


def _index(entry: MatrixEntry, width: int) -> Index:
    """Where an entry lies in its matrix, (lane, row, column) with `width` columns in a lane: a block as slices, others
    as a grid or as pairs of indices."""
    lane = entry.columns[0] // width
    if entry.is_block:
        return lane, _slice(entry.rows, 0), _slice(entry.columns, lane * width)
    rows, columns = entry.places()
    return lane, rows, columns - lane * width


def _slice(selection: Selection, start: int) -> slice:
    return slice(selection[0] - start, selection[-1] + 1 - start)


def _reduce(array: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the axes along which a parameter of `shape` was repeated."""
    return array if array.shape == shape else array.sum() if shape == () else array.sum(axis=0)
