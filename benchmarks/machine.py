"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from graphbptt.errors import BackendError
from graphbptt_native import NativeBackend

__all__ = ["describe_machine"]

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def describe_machine() -> dict[str, str]:
    """Processor, cores, threads and versions."""
    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    limits = [f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if name in os.environ]
    return {
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
