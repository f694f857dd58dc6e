"""Derivatives of dense weights, and sums over steps and examples, as calls of generated functions."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.contraction import Contraction
from graphbptt_native.threads import run_together

__all__ = ["bind_contraction", "bind_sum", "is_worth_a_call"]

Array = npt.NDArray[Any]
Call = Callable[[], object]
Tiles = tuple[int, int, int, int]
"""The blocks and the panels of a thread, from the first to before the last."""


FEWEST_FLOPS = 2e6
"""NumPy's product of matrices so small runs on one thread and takes a few microseconds less."""


def is_worth_a_call(rows: int, height: int, width: int) -> bool:
    """Whether the generated function is faster than NumPy, whose products with a vector use all of each vector.

    >>> is_worth_a_call(1000, 25, 16), is_worth_a_call(8192, 128, 1), is_worth_a_call(8192, 128, 16)
    (False, False, True)
    """
    return width > 1 and 2.0 * rows * height * width > FEWEST_FLOPS


def bind_contraction(
    function: Any,
    contraction: Contraction,
    source: Array,
    delta: Array,
    gradient: Array,
    cores: int,
    room: Callable[[int, int], Array],
) -> Iterator[Call]:
    """The calls that set `gradient` to ``source.T @ delta``, for arrays (rows, units) whose units are contiguous.

    Each core computes tiles of its own and sums over all rows. `room` makes memory, for each core its own.
    """
    if contraction.turned:
        out = room(cores, gradient.size).reshape(gradient.shape[::-1])
        yield _bind_tiles(function, contraction, delta, source, out, cores, room)
        yield partial(np.copyto, gradient, out.T)
    else:
        yield _bind_tiles(function, contraction, source, delta, gradient, cores, room)


def _bind_tiles(
    function: Any,
    contraction: Contraction,
    left: Array,
    right: Array,
    out: Array,
    cores: int,
    room: Callable[[int, int], Array],
) -> Call:
    calls = [
        partial(
            function,
            *map(ctypes.c_ssize_t, (len(left), *out.shape, *tiles)),
            *_describe(left),
            *_describe(right),
            ctypes.c_int(contraction.turned),
            room(part, contraction.room).ctypes.data_as(ctypes.c_void_p),
            out.ctypes.data_as(ctypes.c_void_p),
        )
        for part, tiles in enumerate(_split(contraction.grid, cores))
    ]
    return calls[0] if len(calls) == 1 else partial(run_together, calls)


def _split(grid: tuple[int, int], parts: int) -> list[Tiles]:
    """Tiles for each thread: stretches of the longer side of the grid.

    >>> _split((22, 8), 2), _split((1, 1), 2)
    ([(0, 11, 0, 8), (11, 22, 0, 8)], [(0, 1, 0, 1)])
    """
    blocks, panels = grid
    longer = max(grid)
    parts = min(parts, longer)
    stretches = pairwise(longer * part // parts for part in range(parts + 1))
    if blocks >= panels:
        return [(first, last, 0, panels) for first, last in stretches]
    return [(0, blocks, first, last) for first, last in stretches]


def bind_sum(function: Any, series: Array, out: Array) -> Call:
    """A call that sets `out` to the sum of the rows of an array (rows, units)."""
    return partial(
        function,
        *map(ctypes.c_ssize_t, series.shape),
        *_describe(series),
        out.ctypes.data_as(ctypes.c_void_p),
    )


def _describe(series: Array) -> Iterator[ctypes.c_void_p | ctypes.c_ssize_t]:
    """Where the first row lies, and how far the next one is."""
    yield series.ctypes.data_as(ctypes.c_void_p)
    yield ctypes.c_ssize_t(series.strides[0] // series.itemsize)
