"""The cupy backend without one of the things that make it fast: what each of them is worth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.contenders.compiled import Compiled
from benchmarks.networks.network import Network
from benchmarks.problem import Problem
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.gpu import GpuDevice, open_gpu

__all__ = ["CupyWay"]


class CupyWay(Compiled):
    """Without `captured` all work is started call by call; without `persistent` scans are launched step by step.

    `opening` opens the device.
    """

    def __init__(
        self,
        network: Network,
        problem: Problem,
        noisy: bool,
        *,
        captured: bool = True,
        persistent: bool = True,
        opening: Callable[[Numbers, bool], GpuDevice] = open_gpu,
    ) -> None:
        super().__init__(network, problem, noisy, "numpy")
        plan, dtype = self.model.plan, np.dtype(problem.dtype)
        device = opening(Numbers(dtype, plan.precision), captured)
        if not persistent:
            device.limits = None
        self.model._executable = DeviceExecutable(plan, dtype, device)
