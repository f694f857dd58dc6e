"""Derivatives of dense weights, and sums over steps and examples, as calls of generated functions."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.products.contraction import Contraction, fills_vectors
from graphbptt_native.pointers import point_to, point_to_rows
from graphbptt_native.threads import bind_together

__all__ = ["bind_matrix_contraction", "bind_sum", "is_worth_a_call"]

Array = npt.NDArray[Any]
Call = Callable[[], object]

FEWEST_FLOPS = 2e6
"""NumPy's product of matrices so small runs on one thread and takes a few microseconds less."""


def is_worth_a_call(rows: int, height: int, width: int) -> bool:
    """Whether the generated function is faster than NumPy.

    >>> is_worth_a_call(1000, 25, 16), is_worth_a_call(8192, 128, 1), is_worth_a_call(8192, 128, 16)
    (False, False, True)
    """
    return fills_vectors(width) and 2.0 * rows * height * width > FEWEST_FLOPS


def bind_matrix_contraction(
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
            *point_to_rows(left),
            *point_to_rows(right),
            ctypes.c_int(contraction.turned),
            point_to(room(part, contraction.room)),
            point_to(out),
        )
        for part, tiles in enumerate(contraction.split(cores))
    ]
    return bind_together(calls)


def bind_sum(function: Any, series: Array, out: Array) -> Call:
    """A call that sets `out` to the sum of the rows of an array (rows, units)."""
    return partial(function, *map(ctypes.c_ssize_t, series.shape), *point_to_rows(series), point_to(out))
