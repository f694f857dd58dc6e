"""A plan on a device, bound to memory for every shape of batch that it meets."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphbptt.codegen.kernels import write_kernels
from graphbptt.codegen.launches import LaunchPlan, LaunchShape
from graphbptt.codegen.precision import precision_of
from graphbptt.codegen.schedule_launches import schedule_launches
from graphbptt.ir.plan import Plan
from graphbptt_cupy.bound_plan import DevicePlan
from graphbptt_cupy.device import Device
from graphbptt_cupy.memory import explain_memory
from graphbptt_cupy.space import HostSpace
from graphbptt_numpy.bound_plan import BoundPlan
from graphbptt_numpy.executable import NumpyExecutable
from graphbptt_numpy.workspace import Workspace

__all__ = ["DeviceExecutable"]


class DeviceExecutable(NumpyExecutable):
    """Meets `graphbptt.backend.Executable`: sweeps run on the device, what stands at their edges is the host's."""

    def __init__(self, plan: Plan, dtype: np.dtype[Any], device: Device) -> None:
        super().__init__(plan, dtype)
        self._device = device
        self._precision = precision_of(dtype)
        self._kernels = write_kernels(plan, self._precision, device.dialect)
        self._module = device.load(self._kernels.text)

    def _allocate(self, steps: int, size: int, ragged: bool, stepwise: bool = False) -> Workspace:
        shape = LaunchShape(steps, size, ragged, stepwise)
        return HostSpace(self._plan, shape, self._dtype, self._device)

    def _attach(self, space: Workspace) -> BoundPlan:
        assert isinstance(space, HostSpace)
        launches = self._schedule(space.shape)
        try:
            return DevicePlan(self._plan, space, launches, self._module)
        except MemoryError:
            self._forget()
        try:
            return DevicePlan(self._plan, space, launches, self._module)
        except MemoryError:
            free = self._device.measure_free()
        raise explain_memory(launches, free)

    def _forget(self) -> None:
        """Give up the memory of all other shapes of batches."""
        self._bound.clear()
        self._last = None
        self._device.measure_free()

    def _schedule(self, shape: LaunchShape) -> LaunchPlan:
        return schedule_launches(self._plan, self._kernels, self._precision, shape)
