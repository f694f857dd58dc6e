"""Weights that are kept as entries, as the generated functions read them; their derivatives, split between cores."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt_native.pointers import point_to, point_to_rows
from graphbptt_native.threads import bind_together
from graphbptt_numpy.sparse import BlockMemory

__all__ = ["ColumnEntries", "bind_entry_contraction"]

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


def bind_entry_contraction(
    function: Any,
    block: BlockMemory,
    source: Array,
    delta: Array,
    cores: int,
    room: Callable[[int, int], Array],
) -> Callable[[], object]:
    """A call of ``contract_entries``: each core takes rows of the matrix with as many entries as the others'.

    `source` and `delta` are those of all steps, (steps, batch, units). `room` makes memory to turn so
    many columns of them, for each core its own.
    """
    calls = [
        partial(
            function,
            *(ctypes.c_ssize_t(n) for n in (first, last, source.shape[0] * source.shape[1], block.columns)),
            *point_to_rows(source),
            *point_to_rows(delta),
            *map(point_to, (block.starts, block.positions)),
            point_to(room(core, last - first + block.columns)),
            point_to(block.gradient),
        )
        for core, (first, last) in enumerate(_split_rows(block.starts, cores))
    ]
    return bind_together(calls)


def _split_rows(starts: Array, cores: int) -> list[tuple[int, int]]:
    """Stretches of rows that have about as many entries each."""
    wanted = np.arange(1, cores) * int(starts[-1]) // cores
    ends = [0, *np.searchsorted(starts[:-1], wanted).tolist(), len(starts) - 1]
    return list(pairwise(ends))
