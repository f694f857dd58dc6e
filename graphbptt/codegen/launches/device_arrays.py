"""The memory of a device that a launch plan works on.

array    := DeviceArray(name, kind, shape, dtype, values, within)       memory that lives as long as the plan
kind     := constant | kept | parameter | field | weight | initial | buffer | scratch | derivative | gradient | loss
          | arena
region   := Region(array, offset, rows, columns, stride)        row r begins `stride` numbers behind row r - 1
address  := Address(array, offset)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["ALIGNED", "SHARED", "Address", "ArrayKind", "DeviceArray", "Region"]

ArrayKind = Literal[
    "constant", "kept", "parameter", "field", "weight", "initial", "buffer", "scratch", "derivative", "gradient",
    "loss", "arena",
]  # fmt: skip
"""What an array holds: numbers that never change; what a run leaves for the next one; the flat vector of parameters;
what a batch brings; packed copies of parameters; the rows that sequences start from; a buffer of the plan; what is used
up at once; derivatives by packed copies; the derivative by the free parameters; the means of the loss's terms; other
arrays, as bytes. What is constant or kept begins with its values, all else with nothing."""

SHARED: tuple[ArrayKind, ...] = ("constant", "parameter", "kept")
"""Kinds of arrays that do not depend on the shape of batches."""

ALIGNED = 256
"""Arrays in an arena begin at multiples of so many bytes, as memory does that is allocated on a GPU."""


@dataclass(frozen=True, slots=True)
class DeviceArray:
    """Memory of the device in C order; `values` are those with which it begins, and `within` says where in an arena it
    lies, if it has no memory of its own."""

    name: str
    kind: ArrayKind
    shape: tuple[int, ...]
    dtype: str
    values: npt.NDArray[Any] | None = field(default=None, compare=False, repr=False)
    within: Address | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def width(self) -> int:
        """The length of its rows."""
        return self.shape[-1] if self.shape else 1

    def whole(self) -> Region:
        """All of it, row by row."""
        rows = self.size // self.width if self.width else 0
        return Region(self.name, 0, rows, self.width, self.width)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a pointer leads to: `offset` numbers into an array."""

    array: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of numbers in an array's memory."""

    array: str
    offset: int
    rows: int
    columns: int
    stride: int

    @property
    def address(self) -> Address:
        return Address(self.array, self.offset)

    @property
    def size(self) -> int:
        return self.rows * self.columns

    @property
    def stop(self) -> int:
        """Behind its last number."""
        return self.offset + (self.rows - 1) * self.stride + self.columns if self.size else self.offset

    @property
    def contiguous(self) -> bool:
        return self.stride == self.columns or self.rows <= 1

    def move(self, by: int) -> Region:
        """The same rectangle so many numbers further."""
        return replace(self, offset=self.offset + by)
