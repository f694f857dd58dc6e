"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import re
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from graphbptt.errors import BackendError
from graphbptt_native import NativeBackend

__all__ = ["describe_machine", "name_results"]

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def describe_machine(device: str = "cpu") -> dict[str, str]:
    """Processor, cores, threads and versions; first of all the GPU, where that is the device."""
    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    limits = [f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if name in os.environ]
    return {
        **(_describe_gpu() if device == "gpu" else {}),
        "processor": _name_processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "threads": ", ".join(limits) or "as many as cores (BLAS default)",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "networkx": nx.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "compiler": _name_compiler(),
        **{name: metadata.version(name) for name in ("torch", "jax") if find_spec(name)},
    }


def name_results(machine: dict[str, str]) -> str:
    """What files of results that were measured on a machine are called.

    >>> name_results({"gpu": "NVIDIA H100 80GB HBM3"})
    'gpu-nvidia-h100-80gb-hbm3'
    >>> name_results({"processor": "AMD EPYC"})
    'cpu'
    """
    return "-".join(["gpu", *re.findall(r"[a-z0-9]+", machine["gpu"].lower())]) if "gpu" in machine else "cpu"


def _describe_gpu() -> dict[str, str]:
    """The GPU that CuPy has chosen."""
    cupy = import_module("cupy")
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(runtime.getDevice())
    return {
        "gpu": properties["name"].decode(),
        "multiprocessors": str(properties["multiProcessorCount"]),
        "driver": _spell_version(runtime.driverGetVersion()),
        "cuda": _spell_version(runtime.runtimeGetVersion()),
        "cupy": cupy.__version__,
    }


def _spell_version(version: int) -> str:
    """CUDA writes 13.0 as 13000."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _name_compiler() -> str:
    """What the native backend compiles with."""
    try:
        toolchain = NativeBackend().toolchain
    except BackendError:
        return "none"
    return toolchain.version.splitlines()[0]


def _name_processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
