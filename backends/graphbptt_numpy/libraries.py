"""What multiplies matrices for NumPy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["describe_libraries"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What the linear algebra libraries that NumPy is built with read when they are loaded."""


def describe_libraries(environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """NumPy and its BLAS, and what the environment says of the threads of that."""
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    named = " ".join(filter(None, (blas.get("name"), blas.get("version"))))
    yield f"library: NumPy {np.__version__}, BLAS {named or 'unknown'}"
    limits = ", ".join(f"{name}={environ[name]}" for name in THREADS if environ.get(name))
    yield f"threads: {limits or 'as many as its BLAS takes'}"
