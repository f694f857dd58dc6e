"""Addresses of arrays as arguments of C functions. An argument keeps its arrays: bound calls have all that they use."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

import numpy.typing as npt

__all__ = ["Pointers", "point_to", "point_to_rows"]

Array = npt.NDArray[Any]


class Pointers:
    """The addresses of several arrays as one argument, ``void *const *``; None is NULL."""

    def __init__(self, arrays: Iterable[Array | None]) -> None:
        self.arrays = tuple(arrays)
        addresses = (None if array is None else array.ctypes.data for array in self.arrays)
        self._as_parameter_ = (ctypes.c_void_p * len(self.arrays))(*addresses)


def point_to(array: Array) -> ctypes.c_void_p:
    """Where an array begins."""
    return array.ctypes.data_as(ctypes.c_void_p)  # NumPy has the pointer keep the array


def point_to_rows(series: Array) -> tuple[ctypes.c_void_p, ctypes.c_ssize_t]:
    """Where the first row of an array (..., rows, units) lies, and how many numbers further the next one is."""
    return point_to(series), ctypes.c_ssize_t(series.strides[-2] // series.itemsize)
