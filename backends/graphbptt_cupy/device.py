"""A device as the backend sees it: its memory, and what turns the commands of a launch plan into calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.dialect import Dialect
from graphbptt.codegen.launches.commands import Launch, Multiply
from graphbptt.codegen.launches.device_arrays import DeviceArray, Region
from graphbptt.codegen.persistent.device_limits import DeviceLimits

__all__ = ["Array", "Call", "Device", "HostMemoryError", "Memory", "Module", "make_calls"]

Array = npt.NDArray[Any]
Call = Callable[[], object]
Memory = Mapping[str, Any]
"""The arrays of a launch plan on the device, flat, by name."""
Module = Any
"""Compiled kernels, as the device has them."""


class HostMemoryError(MemoryError):
    """The host has no memory from which the device copies fastest."""


def make_calls(calls: Iterable[Call]) -> None:
    """One after the other."""
    for call in calls:
        call()


class Device(Protocol):
    """What runs launch plans. Calls take no arguments, and start work in the order in which they are made; copies from
    the host go beside all other work, one after the other."""

    dialect: Dialect

    @property
    def memory(self) -> int:
        """How many bytes of memory it has, used or free."""

    @property
    def limits(self) -> DeviceLimits | None:
        """What decides which scans are persistent kernels; None where all are launched step by step."""

    def load(self, text: str) -> Module:
        """Compile the text of kernels.

        Raises
        ------
        BackendError
            It is not taken, or cannot be kept.
        """

    def allocate(self, array: DeviceArray) -> Any:
        """Flat memory for an array, with its values, or with anything if it has none.

        Raises
        ------
        MemoryError
            There is not enough.
        """

    def measure_free(self) -> int:
        """The bytes of its memory that can still be allocated, with what is no longer used given back."""

    def allocate_host(self, size: int) -> npt.NDArray[np.uint8]:
        """So many bytes of the host's memory, from which the device copies fastest.

        Raises
        ------
        HostMemoryError
            There are not.
        """

    def bind_launch(self, module: Module, command: Launch, memory: Memory) -> Call:
        """What starts a kernel."""

    def bind_multiply(self, command: Multiply, memory: Memory) -> Call:
        """What multiplies two matrices, or several times two at once."""

    def bind_copy_in(self, region: Region, twin: Array, memory: Memory) -> Call:
        """What copies a region from its array's twin, flat memory of the host."""

    def bind_copies(self, copies: Sequence[Call]) -> tuple[Call, Call]:
        """What starts copies from the host, and what makes all work that is started behind it wait for them."""

    def bind_copy_out(self, region: Region, twin: Array, memory: Memory) -> Call:
        """What copies it there."""

    def bind_repetition(self, calls: Sequence[Call]) -> Call:
        """What does all that these calls do, in their order, each time that it is called; it may record it once."""

    def run(self, calls: Sequence[Call]) -> None:
        """Make these calls, and return when all that they have started is done: work, and copies that it waits for.

        Raises
        ------
        DeviceError
            The device stopped.
        """

    def start(self, calls: Sequence[Call]) -> None:
        """Make these calls, and return while what they have started goes on. No other run may begin, and none be
        started, until `wait` returns: that is refused."""

    def wait_copies(self) -> None:
        """While a run that was started goes on: return when nothing is copied from the host any more, which may write
        to its memory again."""

    def wait(self) -> None:
        """Return when all that was started is done, at once where nothing was."""
