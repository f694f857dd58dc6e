"""What is missing for a GPU to be used, in one sentence."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["OLDEST", "describe_gpu", "find_missing", "judge"]

OLDEST = (13, 6)
"""The oldest CuPy whose kernels and products the backend knows."""
REMEDY = "pip install 'graphbptt[cupy]'"


def find_missing() -> str | None:
    """Why no GPU can be used here; None if one can."""
    try:
        cupy = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            return f"CuPy is not installed; {REMEDY}"
        return f"CuPy cannot be imported: {_first_line(error)}"
    except Exception as error:  # importing it loads libraries, which fail in ways of their own
        return f"CuPy cannot be imported: {_first_line(error)}"
    return judge(cupy)


def judge(cupy: Any) -> str | None:
    """Why a CuPy that is there finds no GPU: it is too old, or what it says when asked for devices."""
    version = tuple(int(number) for number in re.findall(r"\d+", cupy.__version__)[:2])
    if version < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return f"CuPy {cupy.__version__} is too old, {wanted} is the oldest that will do; {REMEDY}"
    runtime = cupy.cuda.runtime
    try:
        driver, toolkit = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        if driver == 0:
            return "there is no driver for an NVIDIA GPU; install it, or take another backend"
        if driver // 1000 < toolkit // 1000:
            return (
                f"the GPU's driver knows CUDA up to {_spell(driver)}, CuPy needs {_spell(toolkit)}; update the driver, "
                f"or install cupy-cuda{driver // 1000}x"
            )
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        return f"CuPy finds no GPU: {_first_line(error)}"
    return None if count else "there is no NVIDIA GPU in this machine, or $CUDA_VISIBLE_DEVICES hides it"


def describe_gpu(cupy: Any) -> Iterator[str]:
    """The GPU that CuPy has chosen, and the versions of what runs it."""
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(runtime.getDevice())
    yield f"device: {properties['name'].decode()}"
    yield f"library: CuPy {cupy.__version__}, CUDA {_spell(runtime.runtimeGetVersion())}"


def _spell(version: int) -> str:
    """CUDA writes 12.4 as 12040."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
