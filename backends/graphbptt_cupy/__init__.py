"""The cupy backend: the sweeps of a plan on an NVIDIA GPU, as generated kernels and products of cuBLAS."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphbptt.backend import Executable
from graphbptt.errors import BackendError, DeviceError
from graphbptt.ir.plan import Plan
from graphbptt.ir.product_precision import ProductPrecision
from graphbptt_cupy.presence import describe_gpu, find_missing, find_traces, judge_precision

__all__ = ["CupyBackend", "backend"]


class CupyBackend:
    """Runs plans where CuPy finds a GPU."""

    name = "cupy"
    precisions: tuple[ProductPrecision, ...] = ("full", "tf32", "bfloat16")

    def missing(self) -> str | None:
        return find_missing()

    def awaited(self) -> bool:
        return find_traces()

    def describe(self) -> Iterator[str]:
        return describe_gpu(importlib.import_module("cupy"))

    def build(self, plan: Plan, dtype: np.dtype[Any]) -> Executable:
        # Imported where there is a GPU, and not wherever `auto` asks for one.
        from graphbptt_cupy.blas import Numbers
        from graphbptt_cupy.executable import DeviceExecutable
        from graphbptt_cupy.gpu import open_gpu

        refusal = judge_precision(importlib.import_module("cupy"), dtype, plan.precision, os.environ)
        if refusal is not None:
            raise BackendError(refusal)
        try:
            return DeviceExecutable(plan, dtype, open_gpu(Numbers(dtype, plan.precision)))
        except (DeviceError, MemoryError) as error:
            said = error.__cause__ or error
            raise BackendError(
                f"the GPU cannot be used: {said}; nvidia-smi says whether something else has it"
            ) from error


backend = CupyBackend()
