"""A plan whose scans are generated C."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphbptt.ir.plan import Plan
from graphbptt_native.cache import Cache
from graphbptt_native.discover import Toolchain
from graphbptt_native.load import SECONDS
from graphbptt_native.program import compile_plan
from graphbptt_native.tape import NativeTape
from graphbptt_native.threads import count_cores
from graphbptt_native.workspace import NativeWorkspace
from graphbptt_numpy.bound_plan import BoundPlan
from graphbptt_numpy.executable import NumpyExecutable
from graphbptt_numpy.workspace import Workspace

__all__ = ["NativeExecutable"]


class NativeExecutable(NumpyExecutable):
    """Meets `graphbptt.backend.Executable`. What no function in C does is NumPy's.

    A batch is split between as many `cores`, by default those that `count_cores` counts. The compiler may take
    `seconds`.
    """

    def __init__(
        self,
        plan: Plan,
        dtype: np.dtype[Any],
        toolchain: Toolchain,
        cache: Cache,
        cores: int | None = None,
        seconds: float = SECONDS,
    ) -> None:
        super().__init__(plan, dtype)
        cores = count_cores() if cores is None else cores
        self._program = compile_plan(plan, dtype, toolchain, cache, cores, seconds)

    def _allocate(self, steps: int, size: int, ragged: bool, stepwise: bool = False) -> Workspace:
        return NativeWorkspace(self._plan, self._program, steps, size, ragged, self._dtype, stepwise)

    def _attach(self, space: Workspace) -> BoundPlan:
        return BoundPlan(self._plan, space, NativeTape)
