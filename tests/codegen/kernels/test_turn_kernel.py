"""Rows are turned, tile by tile, whatever their number, in C and on a GPU's blocks."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from compiled import load_source
from host_cuda import ORDERS, load_cuda, start

from graphbptt.codegen.dialect import CUDA, C, Dialect
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.kernels.turn_kernel import count_threads, emit_turning
from graphbptt.codegen.launches.commands import THREADS
from graphbptt.codegen.precision import FLOAT64

SHAPES = [(1, 1), (1, 70), (70, 1), (31, 32), (32, 33), (40, 300), (100, 65)]
BESIDE = 3
"""Numbers between rows."""

Array = np.ndarray[Any, Any]


@cache
def write_turning(dialect: Dialect) -> str:
    return "\n".join([prelude((), FLOAT64, dialect), *emit_turning(dialect)])


def prepare(shape: tuple[int, int]) -> tuple[list[int], Array, Array]:
    """What the kernel is given, the rows, and where it writes."""
    rows, columns = shape
    source = np.arange(float(rows * (columns + BESIDE))).reshape(rows, -1)
    out = np.full((columns, rows), np.nan)
    words = [count_threads(*shape), rows, columns, source.ctypes.data, columns + BESIDE, out.ctypes.data]
    return words, source[:, :columns], out


def turn_on_host(shape: tuple[int, int], order: int, text: str) -> bool:
    words, rows, out = prepare(shape)
    start(load_cuda(text), "turn_rows", words[0] // THREADS, THREADS, words, order=order)
    return np.array_equal(out, rows.T)


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_become_columns(shape: tuple[int, int]) -> None:
    words, rows, out = prepare(shape)
    load_source(write_turning(C)).turn_rows(*map(ctypes.c_uint64, words))
    assert np.array_equal(out, rows.T)
    assert all(turn_on_host(shape, order, write_turning(CUDA)) for order in ORDERS)


def test_lanes_that_do_not_meet_are_seen() -> None:
    text, count = re.subn(r"__syncthreads\(\);", "", write_turning(CUDA))
    assert count == 1
    assert not all(turn_on_host((40, 40), order, text) for order in ORDERS)
