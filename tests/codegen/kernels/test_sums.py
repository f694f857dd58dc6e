"""Sums on a GPU's blocks and lanes: those of C to the last bit, in whatever order threads and blocks come."""

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
from graphbptt.codegen.kernels.sums import MOST_SUMS, count_threads, declare_sum, emit_adding, frame_sum
from graphbptt.codegen.launches.commands import THREADS
from graphbptt.codegen.precision import FLOAT64

SIZES = (1, 255, 256, 257, 1024, 1025, 3000, 300_000, 600_001)
"""Up to more than a lane's few numbers, a block's, those of as many blocks as a block has lanes, of all blocks."""

Array = np.ndarray[Any, Any]


@cache
def write_sum(dialect: Dialect) -> str:
    summand, finish = ["sum += from[thread];"], ["to[0] = total;"]
    parameters = ("const real *const from", "double *const to")
    lines = frame_sum(declare_sum("add", parameters), summand, finish, dialect)
    return "\n".join([prelude((), FLOAT64, dialect), *emit_adding(dialect), *lines])


@cache
def draw_numbers(size: int) -> Array:
    """Of such different sizes that each order of additions has a sum of its own."""
    random = np.random.default_rng(size)
    return random.normal(size=size) * 10.0 ** random.integers(0, 9, size)


def add_in_c(numbers: Array) -> float:
    partial, arrived, total = np.full(MOST_SUMS, np.nan), np.zeros(1, np.uint32), np.full(1, np.nan)
    pointers = (ctypes.c_void_p(array.ctypes.data) for array in (partial, arrived, numbers, total))
    counts = ctypes.c_ssize_t(count_threads(numbers.size)), ctypes.c_ssize_t(numbers.size)
    load_source(write_sum(C)).add(*counts, *pointers)
    return float(total[0])


def add_in_blocks(numbers: Array, order: int, text: str) -> list[float]:
    """Twice, one launch after the other."""
    partial, arrived, totals = np.full(MOST_SUMS, np.nan), np.zeros(1, np.uint32), []
    threads = count_threads(numbers.size)
    for _ in range(2):
        partial[...], total = np.nan, np.full(1, np.nan)
        pointers = [array.ctypes.data for array in (partial, arrived, numbers, total)]
        words = [threads, numbers.size, *pointers]
        start(load_cuda(text), "add", threads // THREADS, THREADS, words, order=order)
        assert arrived[0] == 0
        totals.append(float(total[0]))
    return totals


def test_sizes_have_blocks_as_they_are_said_to() -> None:
    blocks = [count_threads(size) // THREADS for size in SIZES]
    assert blocks[4:6] == [1, 2]
    assert THREADS < blocks[-2] < blocks[-1] == MOST_SUMS


@pytest.mark.parametrize("size", SIZES)
def test_the_order_of_additions_is_that_of_c(size: int) -> None:
    numbers = draw_numbers(size)
    wanted = add_in_c(numbers)
    assert wanted == pytest.approx(float(np.sum(numbers.astype(np.longdouble))), rel=1e-10)
    for order in ORDERS:
        assert add_in_blocks(numbers, order, write_sum(CUDA)) == [wanted, wanted]


MUTATIONS = {
    "lanes add what is not there yet": (r"\) \{\n    __syncthreads\(\);\n    for", ") {\n    for"),
    "lanes add what others have yet to": (r"sums\[lane \+ width\];\n        __syncthreads\(\);", "sums[lane + width];"),
    "lanes ask too early for the last block": (r"    __syncthreads\(\);\n    if \(!last\)", "    if (!last)"),
    "all blocks but one are counted": (r"== gridDim\.x - 1;", "== gridDim.x - 2;"),
    "the first block adds up those of all": (r"== gridDim\.x - 1;", "== 0;"),
    "the counter goes on": (r"atomicInc\(arrived, gridDim\.x - 1\)", "atomicInc(arrived, gridDim.x)"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_sum_that_is_wrong_is_seen(name: str) -> None:
    """Under some order of threads; these are mistakes that no compiler knows."""
    pattern, other = MUTATIONS[name]
    text, count = re.subn(pattern, other, write_sum(CUDA))
    assert count == 1
    numbers = draw_numbers(3000)
    wanted = add_in_c(numbers)
    assert any(differs(numbers, order, text, wanted) for order in ORDERS)


def differs(numbers: Array, order: int, text: str, wanted: float) -> bool:
    try:
        return add_in_blocks(numbers, order, text) != [wanted, wanted]
    except AssertionError:
        return True
