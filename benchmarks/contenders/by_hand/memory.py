"""Arrays as the fast kernels want them: on cache-line boundaries, and few enough at a time to stay in the cache."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from benchmarks.problem import Array, Sizes

__all__ = ["allocate", "pad_width", "split_steps"]

CACHE_LINE = 64
BLOCK_BYTES = 128 * 1024
"""The bytes of one state's rows in a block of steps: with the ten or so rows like it, they fit a level-two cache."""


def allocate(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Zeros that start on a cache line.

    NumPy aligns to 16 bytes; on 64-byte boundaries a small matrix product takes two thirds of the time.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def pad_width(width: int, dtype: npt.DTypeLike) -> int:
    """The width of rows that hold `width` numbers and all start on a cache line."""
    lane = CACHE_LINE // np.dtype(dtype).itemsize
    return -(-width // lane) * lane


def split_steps(sizes: Sizes, dtype: npt.DTypeLike) -> Iterator[range]:
    """Consecutive blocks of steps, in order, whose rows stay in the cache from one pass over them to the next."""
    row = sizes.batch * sizes.hidden * np.dtype(dtype).itemsize
    length = max(1, BLOCK_BYTES // row)
    for start in range(0, sizes.steps, length):
        yield range(start, min(start + length, sizes.steps))
