"""A plan on a device, bound to memory for every shape of batch that it meets."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.backend import Outcome
from graphbptt.codegen.kernels.update_kernels import UpdateKernels, write_update
from graphbptt.codegen.kernels.write_kernels import write_kernels
from graphbptt.codegen.launches.launch_plan import LaunchPlan, LaunchShape
from graphbptt.codegen.persistent.choose_persistent import choose_scans
from graphbptt.codegen.persistent.text import format_persistent
from graphbptt.codegen.persistent.write_persistent import NO_PERSISTENT, PersistentKernels, write_persistent
from graphbptt.codegen.precision import precision_of
from graphbptt.codegen.schedules.schedule_launches import schedule_launches
from graphbptt.ir.batch import Batch
from graphbptt.ir.plan import Plan
from graphbptt.ir.updates import UpdateRule
from graphbptt_cupy.bound_plan import DevicePlan
from graphbptt_cupy.device import Device, Module
from graphbptt_cupy.memory import explain_memory
from graphbptt_cupy.space import HostSpace
from graphbptt_numpy.bound_plan import BoundPlan
from graphbptt_numpy.executable import NumpyExecutable
from graphbptt_numpy.stepper import NumpyStepper
from graphbptt_numpy.workspace import Workspace

__all__ = ["DeviceExecutable", "DeviceUpdater"]

Array = npt.NDArray[Any]

STEPWISE = (
    "  states without derivatives: step by step, each by the same products and kernels however many there are"
)
"""Of float64 where nothing looks ahead. So the bits of states do not depend on the number of steps, as far as those of
a product do not depend on where in memory its factors begin: cuBLAS promises the same bits for the same call alone."""


class DeviceExecutable(NumpyExecutable):
    """Meets `graphbptt.backend.Executable`: parameters and data go to the device, and what is asked for comes back.

    Batches of all shapes share the parameters there, and what updates of them keep.
    """

    def __init__(self, plan: Plan, dtype: np.dtype[Any], device: Device) -> None:
        super().__init__(plan, dtype)
        self._device = device
        self._precision = precision_of(dtype)
        self._kernels = write_kernels(plan, self._precision, device.dialect)
        self._update: UpdateKernels | None = None
        module = device.load(self._kernels.text)
        self._modules: dict[str, Module] = {item.kernel: module for item in self._kernels.signatures}
        self._persistent: dict[str, Module] = {}
        self._shared: dict[str, Any] = {}

    def stepper(self, size: int) -> NumpyStepper:
        space = self._allocate(1, size, ragged=False)
        return NumpyStepper(self._plan, space, self._attach(space, moves=True))

    def bind_update(self, rule: UpdateRule, limit: float | None) -> DeviceUpdater:
        """As `graphbptt.backend.Updating` says; moments begin anew, and the updater before this one has an end."""
        penalties = {
            group.name: group.penalty for group in self._plan.network.groups if group.penalty is not None
        }
        self._update = write_update(rule, limit, penalties, self._precision, self._device.dialect)
        module = self._device.load(self._update.text)
        self._modules |= {item.kernel: module for item in self._update.signatures}
        self._bound.clear()
        self._shared.clear()
        return DeviceUpdater(self)

    def bind_batch(self, batch: Batch) -> DevicePlan:
        """The plan bound to memory for the shape of a batch."""
        bound = self._bind(batch)
        assert isinstance(bound, DevicePlan)
        return bound

    def explain(self, steps: int, size: int) -> str:
        """Which scans are one launch each on this device, and why others are not."""
        limits = self._device.limits
        if limits is None:
            return "scans are launched step by step"
        text = format_persistent(self._plan, self._precision, steps, size, limits)
        return f"{text}\n{STEPWISE}" if self._stepwise else text

    def _allocate(self, steps: int, size: int, ragged: bool, stepwise: bool = False) -> Workspace:
        shape = LaunchShape(steps, size, ragged, stepwise)
        return HostSpace(self._plan, shape, self._dtype, self._device)

    def _attach(self, space: Workspace, moves: bool = False) -> BoundPlan:
        assert isinstance(space, HostSpace)
        persistent = self._write_persistent(space.shape)
        launches = self._schedule(space.shape, persistent)
        modules = self._modules | self._load(persistent)
        attach = partial(DevicePlan, self._plan, space, launches, modules, self._shared, moves)
        # An error that is still handled keeps what was allocated before it.
        with suppress(MemoryError):
            return attach()
        self._forget()
        with suppress(MemoryError):
            return attach()
        raise explain_memory(launches, self._device.measure_free())

    def _forget(self) -> None:
        """Give up the memory of all other shapes of batches."""
        self._bound.clear()
        self._last = None
        self._device.measure_free()

    def _schedule(self, shape: LaunchShape, persistent: PersistentKernels) -> LaunchPlan:
        return schedule_launches(self._plan, self._kernels, self._precision, shape, persistent, self._update)

    def _write_persistent(self, shape: LaunchShape) -> PersistentKernels:
        """Kernels for the scans that one launch does best. Where steps have to be alike, however many there are, it has
        none: a single step has none either."""
        limits = self._device.limits
        if limits is None or shape.stepwise:
            return NO_PERSISTENT
        choices = choose_scans(self._plan, self._precision, shape.steps, shape.size, limits)
        chosen = {scan: choice for scan, choice in choices.items() if not isinstance(choice, str)}
        return write_persistent(self._plan, chosen, self._precision, self._device.dialect)

    def _load(self, persistent: PersistentKernels) -> dict[str, Module]:
        """Compile what was not compiled for another shape."""
        if not persistent.kernels:
            return {}
        if persistent.text not in self._persistent:
            self._persistent[persistent.text] = self._device.load(persistent.text)
        module = self._persistent[persistent.text]
        return {signature.kernel: module for signature in persistent.signatures}


class DeviceUpdater:
    """Meets `graphbptt.backend.Updater`."""

    def __init__(self, executable: DeviceExecutable) -> None:
        self._executable = executable
        self._parameters: Array | None = None
        self._prepared: DevicePlan | None = None
        self._started: DevicePlan | None = None

    def load(self, parameters: Array) -> None:
        self._parameters, self._started = parameters.copy(), None

    def prepare(self, batch: Batch) -> None:
        """Batches of different shapes have different plans, which share the parameters."""
        self._prepared = self._executable.bind_batch(batch)
        if self._parameters is not None:
            self._prepared.put_parameters(self._parameters)
            self._parameters = None
        self._prepared.prepare_update(batch)

    def start(self) -> None:
        if self._prepared is None:
            raise AssertionError("nothing was prepared")
        self._started, self._prepared = self._prepared, None
        self._started.start_update()

    def finish(self) -> Outcome:
        return self._find_started().finish_update()

    def fetch(self, parameters: Array, previous: Array, gradient: Array) -> None:
        self._find_started().fetch_parameters(parameters, previous, gradient)

    def _find_started(self) -> DevicePlan:
        if self._started is None:
            raise AssertionError("nothing was updated yet")
        return self._started
