"""A plan on a device, bound to memory for every shape of batch that it meets."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import Any

import numpy as np

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
from graphbptt_cupy.device import Device, HostMemoryError, Module
from graphbptt_cupy.memory import explain_host_memory, explain_memory
from graphbptt_cupy.shared import SharedMemory
from graphbptt_cupy.space import HostSpace
from graphbptt_cupy.updater import DeviceUpdater
from graphbptt_numpy.executable import KEPT_SHAPES, NumpyExecutable
from graphbptt_numpy.stepper import NumpyStepper

__all__ = ["DeviceExecutable"]

MOST_SHAPES = 64
"""How many shapes of batches keep their memory, and what is recorded of them, at most; the one not used for longest
goes first."""

KEPT_SHARE = 0.25
"""More than the few that are kept however large are kept as long as all together take less than this of the device's
memory."""

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
        self._shared = SharedMemory()
        self._updater: weakref.ref[DeviceUpdater] | None = None

    def stepper(self, size: int) -> NumpyStepper:
        bound = self._bind_shape(1, size, ragged=False, moves=True)
        return NumpyStepper(self._plan, bound.host, bound)

    def bind_update(self, rule: UpdateRule, limit: float | None) -> DeviceUpdater:
        """As `graphbptt.backend.Updating` says; moments begin anew, and the updater before this one has an end."""
        penalties = {
            group.name: group.penalty for group in self._plan.network.groups if group.penalty is not None
        }
        self._device.wait()
        if (before := self._find_updater()) is not None:
            before.end()
        self._update = write_update(rule, limit, penalties, self._precision, self._device.dialect)
        module = self._device.load(self._update.text)
        self._modules |= {item.kernel: module for item in self._update.signatures}
        self._bound.clear()
        self._shared = SharedMemory()  # a stepper goes on with what it has
        updater = DeviceUpdater(self._device, self.bind_batch)
        self._updater = weakref.ref(updater)
        return updater

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

    def _bind_shape(
        self, steps: int, size: int, ragged: bool, stepwise: bool = False, moves: bool = False
    ) -> DevicePlan:
        """The memory of all other shapes is given up where there is none left, the device's or the host's."""
        shape = LaunchShape(steps, size, ragged, stepwise)
        persistent = self._write_persistent(shape)
        launches = self._schedule(shape, persistent)
        modules = self._modules | self._load(persistent)

        def bind() -> DevicePlan:
            space = HostSpace(self._plan, shape, self._dtype, self._device)
            return DevicePlan(self._plan, space, launches, modules, self._shared, moves)

        # An error that is still handled keeps what was allocated before it.
        with suppress(MemoryError):
            return bind()
        self._forget()
        of_host = False
        try:
            return bind()
        except MemoryError as error:
            of_host = isinstance(error, HostMemoryError)
        free = self._device.measure_free()
        raise explain_host_memory(shape) if of_host else explain_memory(launches, self._shared.arrays, free)

    def _crowded(self) -> bool:
        large = self._measure() > KEPT_SHARE * self._device.memory
        return len(self._bound) >= (KEPT_SHAPES if large else MOST_SHAPES)

    def _forget(self) -> None:
        """Give up the memory of all other shapes of batches, once an update by one of them is done."""
        self._bound.clear()
        self._last = None
        if (updater := self._find_updater()) is not None:
            updater.release()
        self._device.measure_free()

    def _find_updater(self) -> DeviceUpdater | None:
        """The one that was bound last, as long as someone has it: it holds this, and not the other way round."""
        return None if self._updater is None else self._updater()

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
