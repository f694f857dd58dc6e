"""Launch plans on a machine without a GPU: kernels as C, products by NumPy, and arrays as the memory of both.

In C a kernel is a loop over its threads. It may run them first to last or last to first: what depends on their order
would be wrong on a GPU, and differs here. Memory holds nothing but what is not a number until it is written. Where
blocks and barriers are, the text for GPUs is another one, which `host_cuda` runs.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from compiled import NOWHERE, hurry, toolchain

from graphbptt.codegen.dialect import C, Dialect
from graphbptt.codegen.launches.commands import ArgumentValue, Launch, Multiply
from graphbptt.codegen.launches.device_arrays import Address, DeviceArray, Region
from graphbptt.codegen.launches.launch_plan import LaunchPlan, LaunchShape
from graphbptt.codegen.launches.verify_launches import verify_launches
from graphbptt.codegen.persistent.device_limits import DeviceLimits
from graphbptt.codegen.persistent.write_persistent import PersistentKernels
from graphbptt.ir.plan import Plan
from graphbptt_cupy.device import Array, Call, Memory, Module
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_native.discover import Toolchain
from graphbptt_native.load import load_library

__all__ = ["HostDevice", "LoopbackDevice", "VerifiedExecutable", "build", "select", "spell_arguments"]

LOOP = "for (ptrdiff_t thread = 0; thread < threads; thread++)"
REVERSED = "for (ptrdiff_t thread = threads - 1; thread >= 0; thread--)"
BLOCK_LOOP = "for (int thread = 0; thread < threads; thread++)"
BLOCK_REVERSED = "for (int thread = threads - 1; thread >= 0; thread--)"
"""Of all threads, and of those of a block up to a barrier."""


def build(
    plan: Plan, dtype: Any, in_reverse: bool = False, limits: DeviceLimits | None = None
) -> DeviceExecutable:
    """A plan on a device that is this machine's memory; threads run in their order, or in reverse.

    With limits, of a GPU that is not there, scans are persistent kernels where it would have them.
    """
    return VerifiedExecutable(plan, np.dtype(dtype), LoopbackDevice(in_reverse, limits))


class VerifiedExecutable(DeviceExecutable):
    """Runs no launch plan that the verifier does not take."""

    def _schedule(self, shape: LaunchShape, persistent: PersistentKernels) -> LaunchPlan:
        return verify_launches(super()._schedule(shape, persistent))


class HostDevice(ABC):
    """Meets `graphbptt_cupy.device.Device` in the host's memory; how it runs kernels is left open."""

    dialect: Dialect
    limits: DeviceLimits | None
    memory = 2**40

    @abstractmethod
    def load(self, text: str) -> Module: ...

    @abstractmethod
    def bind_launch(self, module: Module, command: Launch, memory: Memory) -> Call: ...

    def allocate(self, array: DeviceArray) -> Array:
        if array.values is not None:
            return np.array(array.values, array.dtype).ravel()
        memory = np.empty(array.size, array.dtype)
        memory.view(np.uint8)[...] = 0xFF  # NaN as a number, and no index at all
        return memory

    def allocate_host(self, size: int) -> Array:
        return np.zeros(size, np.uint8)

    def bind_multiply(self, command: Multiply, memory: Memory) -> Call:
        if command.count > 1:
            products = [self.bind_multiply(product, memory) for product in command.split()]
            return partial(self.run, products[::-1])  # in any order
        out, a, b = (select(memory[region.array], region) for region in (command.out, command.a, command.b))
        left, right = a.T if command.transpose_a else a, b.T if command.transpose_b else b

        def multiply() -> None:
            with np.errstate(all="ignore"):  # a GPU says nothing of what overflows
                product = left @ right
                out[...] = out + product if command.accumulate else product

        return multiply

    def bind_copy_in(self, region: Region, twin: Array, memory: Memory) -> Call:
        return partial(np.copyto, select(memory[region.array], region), select(twin, region))

    def bind_copies(self, copies: Sequence[Call]) -> tuple[Call, Call]:
        """They are made when they are waited for, and no sooner."""
        return partial(self.run, ()), partial(self.run, copies)

    def bind_copy_out(self, region: Region, twin: Array, memory: Memory) -> Call:
        return partial(np.copyto, select(twin, region), select(memory[region.array], region))

    def bind_repetition(self, calls: Sequence[Call]) -> Call:
        return partial(self.run, calls)

    def run(self, calls: Sequence[Call]) -> None:
        for call in calls:
            call()

    def start(self, calls: Sequence[Call]) -> None:
        self.run(calls)

    def wait_copies(self) -> None:
        self.run(())

    def wait(self) -> None:
        self.run(())


class LoopbackDevice(HostDevice):
    """Runs kernels as C."""

    dialect = C

    def __init__(self, in_reverse: bool = False, limits: DeviceLimits | None = None) -> None:
        self._in_reverse, self.limits = in_reverse, limits

    def load(self, text: str) -> ctypes.CDLL:
        loop, turned = (BLOCK_LOOP, BLOCK_REVERSED) if BLOCK_LOOP in text else (LOOP, REVERSED)
        assert loop in text
        source = text.replace(loop, turned) if self._in_reverse else text
        return load_library(source, settle(hurry(toolchain())), NOWHERE).functions

    def bind_launch(self, module: ctypes.CDLL, command: Launch, memory: Memory) -> Call:
        words = (ctypes.c_uint64(word) for word in spell_arguments(command, memory))
        return partial(getattr(module, command.kernel), *words)


def settle(found: Toolchain) -> Toolchain:
    """No product is joined with a sum as one compiler sees fit, so that another one finds the same bits."""
    flags = ("-ffp-contract=off" if flag == "-ffp-contract=fast" else flag for flag in found.flags)
    return replace(found, flags=tuple(flags))


def select(memory: Array, region: Region) -> Array:
    """A region of flat memory, as a view."""
    step = memory.itemsize
    shape, strides = (region.rows, region.columns), (region.stride * step, step)
    assert region.stop <= memory.size
    return np.lib.stride_tricks.as_strided(memory[region.offset :], shape, strides)


def spell_arguments(command: Launch, memory: Memory) -> list[int]:
    """What a kernel is given, as words: whole numbers and addresses, of which NULL is 0."""
    return [_spell(argument, memory) for argument in command.arguments]


def _spell(argument: ArgumentValue, memory: Memory) -> int:
    match argument:
        case None:
            return 0
        case Address(array, offset):
            return int(memory[array].ctypes.data) + offset * int(memory[array].itemsize)
        case _:
            return argument
