"""The noise of states as calls of a generated function, bound once for each shape of batch."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.noise import Noise
from graphbptt_native.pointers import point_to
from graphbptt_native.threads import bind_together, count_parts

__all__ = ["bind_noise"]

Array = npt.NDArray[Any]

NOISE_FLOPS = 50.0
"""A normal number takes about as long as so many operations of a product."""


def bind_noise(function: Any, population: str, out: Array, cores: int) -> Callable[[Noise, int], None]:
    """What fills `out`, (step, example, unit), with a population's noise from a step on, when it is given both.

    Each core draws some of the steps. What differs between calls is put into the words that the arguments point to.
    """
    key, example = np.zeros(2, np.uint64), ctypes.c_uint64()
    parts = min(len(out), count_parts(NOISE_FLOPS * out.size, cores))
    stretches = list(pairwise(len(out) * part // parts for part in range(parts + 1)))
    starts = [ctypes.c_uint64() for _ in stretches]
    shapes = [map(ctypes.c_ssize_t, (end - begin, *out.shape[1:])) for begin, end in stretches]
    run = bind_together(
        [
            partial(function, point_to(key), example, start, *shape, point_to(out[begin:end]))
            for start, shape, (begin, end) in zip(starts, shapes, stretches, strict=True)
        ]
    )

    def draw(noise: Noise, first: int) -> None:
        key[:] = noise.key(population)
        example.value = noise.example
        for start, (begin, _) in zip(starts, stretches, strict=True):
            start.value = first + begin
        run()

    return draw
