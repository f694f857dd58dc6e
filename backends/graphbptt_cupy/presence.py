"""What is missing for a GPU to be used, in one sentence."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphbptt.ir.product_precision import ProductPrecision

__all__ = [
    "OLDEST",
    "describe_gpu",
    "find_libraries",
    "find_missing",
    "find_traces",
    "judge",
    "judge_precision",
]

OLDEST = (13, 6)
"""The oldest CuPy whose kernels and products the backend knows."""

TOOLKITS = (12, 13)
"""The versions of CUDA for which there is an extra, `cuda12` or `cuda13`."""

KNOWN_SINCE = {12: 50, 13: 75}
"""The oldest compute capability that a version of CUDA compiles for (Maxwell, Turing)."""

ROUNDS_SINCE = 8
"""The compute capability from which on GPUs multiply in TF32 and bfloat16 (Ampere)."""


DRIVER = Path("/proc/driver/nvidia/version")
"""What the kernel shows where NVIDIA's driver is loaded."""


HIDDEN = (
    "the driver shows no GPU; nvidia-smi lists those of this machine, $CUDA_VISIBLE_DEVICES may hide them, and a "
    "container sees those that it was started with"
)


def find_traces() -> bool:
    """Whether someone has installed CuPy, or the driver of a GPU."""
    return importlib.util.find_spec("cupy") is not None or DRIVER.exists()


def find_missing() -> str | None:
    """Why no GPU can be used here; None if one can."""
    if sys.platform != "linux":
        return "it runs on Linux alone"
    try:
        cupy = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            return f"CuPy is not installed; {_install()}"
        return f"CuPy cannot be imported: {_first_line(error)}"
    except Exception as error:  # importing it loads libraries, which fail in ways of their own
        return f"CuPy cannot be imported: {_first_line(error)}"
    return judge(cupy)


def judge(cupy: Any) -> str | None:
    """Why a CuPy that is there finds no GPU: it is too old, or what it says when asked for devices."""
    version = tuple(int(number) for number in re.findall(r"\d+", cupy.__version__)[:2])
    if version < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return f"CuPy {cupy.__version__} is too old, {wanted} is the oldest that will do; {_install()}"
    runtime = cupy.cuda.runtime
    try:
        driver, toolkit = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        if driver == 0:
            return "there is no driver for an NVIDIA GPU; install it, where there is such a GPU"
        if driver // 1000 < toolkit // 1000:
            older = driver // 1000
            swap = f", or pip uninstall cupy-cuda{toolkit // 1000}x and {_install(older)}"
            return (
                f"the GPU's driver knows CUDA up to {_spell(driver)}, CuPy needs {_spell(toolkit)}; update the driver"
                f"{swap if older in TOOLKITS else ''}"
            )
        runtime.getDeviceCount()  # which is never 0, but raises
        too_old = _judge_age(cupy, toolkit // 1000)
    except runtime.CUDARuntimeError as error:
        said = _first_line(error)
        return HIDDEN if said.startswith("cudaErrorNoDevice") else f"CuPy finds no GPU: {said}"
    return too_old or find_libraries(cupy, toolkit // 1000)


def _judge_age(cupy: Any, toolkit: int) -> str | None:
    """Why the current GPU is too old for a version of CUDA; None if it is not."""
    capability = cupy.cuda.Device().compute_capability
    if int(capability) >= KNOWN_SINCE.get(toolkit, 0):
        return None
    older = [version for version in TOOLKITS if int(capability) >= KNOWN_SINCE[version]]
    swap = f"; pip uninstall cupy-cuda{toolkit}x and {_install(older[-1])}" if older else ""
    return f"CUDA {toolkit} knows no GPU of compute capability {_spell_capability(capability)}{swap}"


def find_libraries(cupy: Any, toolkit: int) -> str | None:
    """Why one of the libraries that CuPy loads when it needs them, and that come with a toolkit, cannot be."""
    loads: dict[str, Callable[[], object]] = {
        "NVRTC": lambda: cupy.cuda.nvrtc.getVersion(),
        "cuBLAS": lambda: cupy.cuda.cublas,
    }
    for name, load in loads.items():
        try:
            load()
        except Exception as error:  # as what, depends on how CuPy looks for it
            return f"CuPy finds no {name} ({_first_line(error)}); {_install(toolkit)}"
    return None


def judge_precision(
    cupy: Any, dtype: np.dtype[Any], precision: ProductPrecision, environment: Mapping[str, str]
) -> str | None:
    """Why the current GPU cannot multiply so, or would multiply in another way; None if it does what is asked for."""
    capability = cupy.cuda.Device().compute_capability
    if precision != "full" and int(capability[:-1]) < ROUNDS_SINCE:
        version = _spell_capability(capability)
        return f"this GPU, of compute capability {version}, cannot round products to {precision}; write precision: full"
    # The variable overrides what a program asks of any of NVIDIA's libraries.
    override = environment.get("NVIDIA_TF32_OVERRIDE", "")
    if override == "0" and precision == "tf32":
        return "$NVIDIA_TF32_OVERRIDE is 0, which forbids tf32; unset it, or write precision: full"
    if override == "1" and precision == "full" and dtype == np.float32:
        return "$NVIDIA_TF32_OVERRIDE is 1, which rounds all products to tf32; unset it, or write precision: tf32"
    return None


def _install(toolkit: int | None = None) -> str:
    """What to type for a CuPy, for a version of CUDA or whatever the driver knows."""
    if toolkit in TOOLKITS:
        return f"pip install 'graphbptt[cuda{toolkit}]'"
    oldest, newest = TOOLKITS
    return f"pip install 'graphbptt[cuda{newest}]', or cuda{oldest} for a driver that knows no CUDA {newest}"


def describe_gpu(cupy: Any) -> Iterator[str]:
    """The GPU that CuPy has chosen, and the versions of what runs it."""
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(runtime.getDevice())
    yield f"device: {properties['name'].decode()}"
    yield f"library: CuPy {cupy.__version__}, CUDA {_spell(runtime.runtimeGetVersion())}"


def _spell(version: int) -> str:
    """CUDA writes 12.4 as 12040."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _spell_capability(capability: str) -> str:
    """CuPy writes 9.0 as 90."""
    return f"{capability[:-1]}.{capability[-1]}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
