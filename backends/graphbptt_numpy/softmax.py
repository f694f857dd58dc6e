"""The softmax over the units of a population and its derivative, as calls without arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["bind_softmax", "bind_softmax_gradient"]

Array = npt.NDArray[Any]
Call = Callable[[], object]
Scratch = Callable[..., Array]
"""Memory of a shape; the second argument tells apart what is needed at once."""


def bind_softmax(source: Array, out: Array, scratch: Scratch) -> Iterator[Call]:
    """``out = exp(source - max) / sum``, which does not overflow; the arrays are (..., batch, unit)."""
    one = scratch((*source.shape[:-1], 1))
    yield partial(np.maximum.reduce, source, axis=-1, keepdims=True, out=one)
    yield partial(np.subtract, source, one, out)
    yield partial(np.exp, out, out)
    yield partial(np.add.reduce, out, axis=-1, keepdims=True, out=one)
    yield partial(np.divide, out, one, out)


def bind_softmax_gradient(
    delta: Array, slopes: Array, probabilities: Array, out: Array, accumulate: bool, scratch: Scratch
) -> Iterator[Call]:
    """``out (+)= a - probabilities * sum a`` with ``a = slopes * delta``."""
    arriving, common = scratch(out.shape, 1), scratch(out.shape, 2)
    total = scratch((*out.shape[:-1], 1))
    yield partial(np.multiply, slopes, delta, arriving)
    yield partial(np.add.reduce, arriving, axis=-1, keepdims=True, out=total)
    yield partial(np.multiply, probabilities, total, common)
    if accumulate:
        yield partial(np.subtract, arriving, common, arriving)
        yield partial(np.add, out, arriving, out)
    else:
        yield partial(np.subtract, arriving, common, out)
