"""Copies that an index map reads from a parameter: gathered before a sequence, without new memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.indices import IndexMap

__all__ = ["bind_gathering"]

Array = npt.NDArray[Any]


def bind_gathering(parameter: Array, index: IndexMap, copy: Array) -> Iterator[Callable[[], object]]:
    """The calls that fill `copy` from the flat `parameter`: each number taken, multiplied, and zeros put in."""
    positions = np.maximum(index.positions, 0)
    yield partial(np.take, parameter, positions, out=copy, mode="clip")  # unlike raise, it needs no buffer
    if index.factors is not None:
        yield partial(np.multiply, copy, index.factors.astype(copy.dtype), out=copy)
    if not index.full:
        yield partial(np.copyto, copy, 0, where=index.positions < 0)
