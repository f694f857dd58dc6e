"""A launch plan bound to memory of a device: its commands as calls, section by section."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphbptt.codegen.launches.commands import Clear, Command, CopyIn, CopyOut, Launch, Multiply
from graphbptt.codegen.launches.device_arrays import SHARED, DeviceArray
from graphbptt.codegen.launches.launch_plan import LaunchPlan, SectionName
from graphbptt.codegen.launches.order_copies import order_copies
from graphbptt.codegen.schedules.fixed_launches import clear_rows
from graphbptt_cupy.device import Array, Call, Device, Module
from graphbptt_cupy.shared import SharedMemory

__all__ = ["Program"]


class Program:
    """All of a plan's memory, taken once, and what works on it.

    `modules` have the kernels by name. `twin` finds the flat array of the host for one that is copied from there or to
    it, by its name. `bytes` is what it has taken, but for what is shared.

    It holds all memory, the modules and the device as long as it lives: what is recorded refers to these by address,
    and keeps none of them.
    """

    def __init__(
        self,
        plan: LaunchPlan,
        modules: Mapping[str, Module],
        device: Device,
        twin: Callable[[str], Array],
        shared: SharedMemory,
    ) -> None:
        self._plan, self._modules, self._device, self._twin = plan, modules, device, twin
        for array in plan.arrays:
            if array.kind in SHARED and array.name not in shared.arrays:
                shared.arrays[array.name] = device.allocate(array)
        self._memory: dict[str, Any] = {}
        for array in plan.arrays:
            self._memory[array.name] = (
                shared.arrays[array.name] if array.kind in SHARED else self._take(array)
            )
        self._bound: dict[tuple[SectionName, ...], list[Call]] = {}
        self._runs: dict[tuple[SectionName, ...], list[Call]] = {}
        own = (array for array in plan.arrays if array.within is None and array.kind not in SHARED)
        self.bytes = sum(array.bytes for array in own)

    def _take(self, array: DeviceArray) -> Any:
        """Memory of its own, or a part of an arena's, which was taken before."""
        if array.within is None:
            return self._device.allocate(array)
        start = array.within.offset
        return self._memory[array.within.array][start : start + array.bytes].view(array.dtype)

    def run(self, *sections: SectionName) -> None:
        """Do what stands in some sections, and wait until it is done."""
        self._device.run(self._find_run(sections))

    def start(self, *sections: SectionName) -> None:
        """Do it without waiting: the device says when it is done."""
        self._device.start(self._find_run(sections))

    def _find_run(self, sections: tuple[SectionName, ...]) -> list[Call]:
        if sections not in self._runs:
            self._runs[sections] = self._compose(sections)
        return self._runs[sections]

    def _compose(self, sections: tuple[SectionName, ...]) -> list[Call]:
        """All copies from the host are started first, and each stretch of work waits for those that it needs."""
        copies: list[Call] = []
        work: list[Call] = []
        for stretch in order_copies(self._plan, sections):
            if stretch.copies:
                start, wait = self._device.bind_copies([self._bind(copy) for copy in stretch.copies])
                copies.append(start)
                work.append(wait)
            work += self._bind_sections(stretch.sections, stretch.recorded)
        return copies + work

    def _bind_sections(self, names: tuple[SectionName, ...], recorded: bool) -> list[Call]:
        """What is recorded is so once for all runs that do it."""
        if names not in self._bound:
            calls = [self._bind(command) for name in names for command in self._plan.section[name]]
            self._bound[names] = [self._device.bind_repetition(calls)] if recorded and calls else calls
        return self._bound[names]

    def _bind(self, command: Command) -> Call:
        device, memory = self._device, self._memory
        match command:
            case Launch():
                return device.bind_launch(self._modules[command.kernel], command, memory)
            case Clear(region):
                return self._bind(clear_rows(region))
            case Multiply():
                return device.bind_multiply(command, memory)
            case CopyIn(region):
                return device.bind_copy_in(region, self._twin(region.array), memory)
            case CopyOut(region):
                return device.bind_copy_out(region, self._twin(region.array), memory)
