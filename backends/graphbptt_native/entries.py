"""Weights that are kept as entries, as the generated functions read them; their derivatives, split between cores."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt_native.threads import run_together
from graphbptt_numpy.sparse import BlockMemory

__all__ = ["ColumnEntries", "bind_contraction"]

Array = npt.NDArray[Any]


class ColumnEntries:
    """The entries of a block in the order of their columns: where each column begins, the row and the value of each."""

    def __init__(self, block: BlockMemory, allocate: Callable[[int], Array]) -> None:
        self._block = block
        self._order = np.argsort(block.positions, kind="stable")
        rows = np.repeat(np.arange(block.rows), np.diff(block.starts))
        self.sources = rows[self._order].astype(block.positions.dtype)
        ends = np.cumsum(np.bincount(block.positions, minlength=block.columns))
        self.starts = np.concatenate([[0], ends]).astype(block.starts.dtype)
        self.values = allocate(len(block.values))
        self.sort_values()

    def sort_values(self) -> None:
        """Take over the values of the block."""
        self._block.values.take(self._order, out=self.values, mode="clip")


def bind_contraction(
    function: Any,
    block: BlockMemory,
    source: Array,
    delta: Array,
    cores: int,
    turned: Callable[[int, int], Array],
) -> Callable[[], object]:
    """A call of ``contract_entries``: each core takes rows of the matrix with as many entries as the others'.

    `source` and `delta` are those of all steps, (steps, batch, units); `turned` makes memory for
    columns of them, for each core its own.
    """
    calls = [
        partial(
            function,
            *(ctypes.c_ssize_t(n) for n in (first, last, source.shape[0] * source.shape[1], block.columns)),
            *_describe(source),
            *_describe(delta),
            *(array.ctypes.data_as(ctypes.c_void_p) for array in (block.starts, block.positions)),
            *(
                array.ctypes.data_as(ctypes.c_void_p)
                for array in (turned(core, last - first + block.columns), block.gradient)
            ),
        )
        for core, (first, last) in enumerate(_split_rows(block.starts, cores))
    ]
    return calls[0] if len(calls) == 1 else partial(run_together, calls)


def _describe(series: Array) -> Iterator[ctypes.c_void_p | ctypes.c_ssize_t]:
    """Where the first row lies, and how far the next one is."""
    yield series.ctypes.data_as(ctypes.c_void_p)
    yield ctypes.c_ssize_t(series.strides[1] // series.itemsize)


def _split_rows(starts: Array, cores: int) -> list[tuple[int, int]]:
    """Stretches of rows that have about as many entries each."""
    wanted = np.arange(1, cores) * int(starts[-1]) // cores
    ends = [0, *np.searchsorted(starts[:-1], wanted).tolist(), len(starts) - 1]
    return list(pairwise(ends))
