"""Kernels of a GPU on a machine without one: their text as C, called with the memory of NumPy's arrays.

In C a kernel is a loop over its threads. It may run them first to last or last to first: what depends on their order
would be wrong on a GPU, and differs here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from compiled import NOWHERE, toolchain

from graphbptt.codegen.dialect import C
from graphbptt.ir.plan import Plan
from graphbptt_cupy.device import Device
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_native.discover import Toolchain
from graphbptt_native.load import load_library

__all__ = ["build"]

LOOP = "for (ptrdiff_t thread = 0; thread < threads; thread++)"
REVERSED = "for (ptrdiff_t thread = threads - 1; thread >= 0; thread--)"


def build(plan: Plan, dtype: Any, in_reverse: bool = False) -> DeviceExecutable:
    """A plan on a device that is this machine's memory; threads run in their order, or in reverse."""

    def load(source: str) -> Launcher:
        assert LOOP in source
        return Launcher(source.replace(LOOP, REVERSED) if in_reverse else source)

    return DeviceExecutable(plan, np.dtype(dtype), Device(MODULE, fetch, C, load))


class DeviceArray(np.ndarray):
    """An array that, like one on a GPU, meets no array of the host unless it is asked to."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **options: Any) -> Any:
        assert all(type(item) is not np.ndarray for item in (*inputs, *out)), f"{ufunc} meets the host"
        inputs, into = (
            tuple(item.view(np.ndarray) if isinstance(item, DeviceArray) else item for item in items)
            for items in (inputs, out)
        )
        result = getattr(ufunc, method)(*inputs, **(options | ({"out": into} if into else {})))
        return out[0] if out else np.asarray(result).view(DeviceArray)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        assert np.ndarray not in types, f"{function} meets the host"
        return super().__array_function__(function, types, arguments, options)

    def __setitem__(self, index: Any, value: Any) -> None:
        assert type(value) is not np.ndarray, "the host's numbers are put where the device's are"
        super().__setitem__(index, value)


MODULE = SimpleNamespace(
    zeros=lambda shape, dtype: np.zeros(shape, dtype).view(DeviceArray),
    asarray=lambda array: np.array(array).view(DeviceArray),
    matmul=np.matmul,
    add=np.add,
    sum=np.sum,
    copyto=np.copyto,
)
"""What the backend uses of CuPy."""


def fetch(array: np.ndarray) -> np.ndarray:
    assert isinstance(array, DeviceArray), "what is fetched lies on the host"
    return np.array(array.view(np.ndarray))


class Launcher:
    """Calls kernels by name."""

    def __init__(self, source: str) -> None:
        self._library = load_library(source, hurried(), NOWHERE).functions

    def launch(self, name: str, threads: int, arguments: Sequence[int | np.ndarray | None]) -> None:
        getattr(self._library, name)(ctypes.c_ssize_t(threads), *map(_convert, arguments))


def hurried() -> Toolchain:
    """Most of what a small network takes is its compilation: with -Og a quarter as long."""
    found = toolchain()
    flags = tuple("-Og" if flag == "-O3" else flag for flag in found.flags)
    return Toolchain(found.command, found.version, flags, found.vectors)


def _convert(argument: int | np.ndarray | None) -> ctypes.c_ssize_t | ctypes.c_void_p:
    if isinstance(argument, int):
        return ctypes.c_ssize_t(argument)
    assert argument is None or isinstance(argument, DeviceArray), "a kernel is given memory of the host"
    return ctypes.c_void_p(None if argument is None else argument.ctypes.data)
