"""Products and derivatives of sparse weights that are kept as entries, row by row (CSR).

SciPy's public products allocate their result, which has no place in the time loop; so the routines below them are
called, which add to memory that is there. They want the examples of a unit side by side, and states have the units of
an example side by side: both are turned in scratch memory, which costs little beside the product. Few examples are
multiplied one by one instead, where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import _sparsetools as sparsetools

from graphbptt.ir.plan import SparseBlock

__all__ = ["BlockMemory", "bind_sparse_contract", "bind_sparse_product", "place_block"]

Array = npt.NDArray[Any]
Call = Callable[[], object]
Scratch = Callable[[tuple[int, ...], int], Array]

FEW_EXAMPLES = 4
"""Up to this many examples are multiplied one by one."""

SAMPLED_COLUMNS = 1024
"""How many steps and examples of a unit are turned at once for the weight derivative: as many as stay in a cache."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockMemory:
    """A block's entries: where each row starts, their columns, their values and the derivative by these."""

    rows: int
    columns: int
    starts: Array
    positions: Array
    values: Array
    gradient: Array


def place_block(block: SparseBlock, allocate: Callable[[int], Array]) -> BlockMemory:
    """Memory for a block; its indices are as narrow as they can be."""
    entries = block.pattern.size
    kind = np.int32 if max(entries, block.rows, block.columns) <= np.iinfo(np.int32).max else np.int64
    return BlockMemory(
        block.rows,
        block.columns,
        block.starts().astype(kind),
        block.pattern.columns.astype(kind),
        allocate(entries),
        allocate(entries),
    )


def bind_sparse_product(
    block: BlockMemory, source: Array, out: Array, transposed: bool, accumulate: bool, scratch: Scratch
) -> Iterator[Call]:
    """``out (+)= source @ W``, or by its transpose; `source` and `out` are those of one step, (batch, units)."""
    weights = (block.starts, block.positions, block.values)
    # The rows of W are the columns of its transpose: entries in rows for one are entries in columns for the other.
    shape = (block.rows, block.columns) if transposed else (block.columns, block.rows)
    if len(source) <= FEW_EXAMPLES:
        if not accumulate:
            yield partial(out.fill, 0)
        multiply: Any = sparsetools.csr_matvec if transposed else sparsetools.csc_matvec
        for example, result in zip(source, out, strict=True):
            yield partial(multiply, *shape, *weights, example, result)
        return
    turned, total = scratch(source.T.shape, 0), scratch(out.T.shape, 1)
    multiply = sparsetools.csr_matvecs if transposed else sparsetools.csc_matvecs
    yield partial(np.copyto, turned, source.T)
    yield partial(total.fill, 0)
    yield partial(multiply, *shape, len(source), *weights, turned, total)
    yield partial(np.add, out, total.T, out) if accumulate else partial(np.copyto, out, total.T)


def bind_sparse_contract(block: BlockMemory, source: Array, delta: Array, scratch: Scratch) -> Iterator[Call]:
    """The derivative by the entries; `source` and `delta` are those of all steps, (steps, batch, units)."""
    steps, size, _ = source.shape
    length = max(1, SAMPLED_COLUMNS // size)
    degrees = np.diff(block.starts)
    gathered = scratch((int(degrees.max()), min(length, steps) * size), 2)
    part = scratch((len(block.values),), 3)
    for first in range(0, steps, length):
        when = slice(first, first + length)
        count = len(source[when]) * size
        turned = scratch((block.rows, count), 0), scratch((block.columns, count), 1)
        result = part if first else block.gradient
        yield partial(_turn, source[when], turned[0])
        yield partial(_turn, delta[when], turned[1])
        yield partial(_sample, block, *turned, gathered.reshape(-1)[: degrees.max() * count], result)
        if first:
            yield partial(np.add, block.gradient, part, block.gradient)


def _turn(series: Array, out: Array) -> None:
    """(steps, batch, units) as (units, steps and examples)."""
    np.copyto(out.reshape(-1, *series.shape[:2]), series.transpose(2, 0, 1))


def _sample(block: BlockMemory, source: Array, delta: Array, gathered: Array, out: Array) -> None:
    """The entries of ``source @ delta.T``: for each row, its deltas gathered, one product with its states."""
    starts, width = block.starts.tolist(), source.shape[1]
    rows = gathered.reshape(-1, width)
    for row in np.flatnonzero(np.diff(block.starts)).tolist():
        start, stop = starts[row], starts[row + 1]
        deltas = rows[: stop - start]
        delta.take(block.positions[start:stop], 0, deltas, "clip")
        deltas.dot(source[row], out[start:stop])
