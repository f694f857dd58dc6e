"""The current GPU through CuPy, which is imported when a plan is built and not before."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphbptt.codegen.dialect import CUDA
from graphbptt.codegen.kernels import THREADS
from graphbptt_cupy.device import Device

__all__ = ["open_gpu"]


class GpuLauncher:
    """Kernels compiled by NVRTC, when they are first launched; CuPy keeps what it compiled on disk."""

    def __init__(self, cupy: Any, source: str) -> None:
        self._module = cupy.RawModule(code=source, options=("--std=c++17",))
        self._functions: dict[str, Any] = {}

    def launch(self, name: str, threads: int, arguments: Sequence[Any]) -> None:
        if name not in self._functions:
            self._functions[name] = self._module.get_function(name)
        given = (np.int64(threads), *map(_convert, arguments))
        self._functions[name]((-(-threads // THREADS),), (THREADS,), given)


def _convert(argument: Any) -> Any:
    """A NULL is a whole number of 64 bits too."""
    return np.int64(argument or 0) if isinstance(argument, int | None) else argument


def open_gpu() -> Device:
    """The device that CuPy has chosen."""
    cupy = importlib.import_module("cupy")
    return Device(cupy, cupy.asnumpy, CUDA, lambda source: GpuLauncher(cupy, source))
