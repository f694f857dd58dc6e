"""The numpy backend: readable, always there, nothing allocated in the time loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphbptt.ir.plan import Plan
from graphbptt.ir.product_precision import ProductPrecision
from graphbptt_numpy.executable import NumpyExecutable
from graphbptt_numpy.libraries import describe_libraries

__all__ = ["NumpyBackend", "NumpyExecutable", "backend"]


class NumpyBackend:
    """Runs plans with NumPy alone."""

    name = "numpy"
    precisions: tuple[ProductPrecision, ...] = ("full",)

    def missing(self) -> str | None:
        return None

    def awaited(self) -> bool:
        return True

    def describe(self) -> Iterator[str]:
        return describe_libraries()

    def build(self, plan: Plan, dtype: np.dtype[Any]) -> NumpyExecutable:
        return NumpyExecutable(plan, dtype)


backend = NumpyBackend()
