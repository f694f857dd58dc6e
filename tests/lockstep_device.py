"""A GPU each of whose kernels and products is done on the host, too, from the same numbers.

What the GPU leaves has to be what the host leaves, but for rounding: which of two kernels is wrong is known then, and
not only that something is. Kernels are run by `host_cuda`, products by NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from host_cuda import HostCudaDevice

from graphbptt.codegen.launches.commands import Launch, Multiply
from graphbptt.codegen.launches.device_arrays import Address
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.device import Call, Memory
from graphbptt_cupy.gpu import GpuDevice

__all__ = ["LockstepDevice"]

ROUNDING = {"float32": 1e-5, "float64": 1e-13}
"""Of the largest number that a command leaves in an array: a GPU multiplies and adds in one."""


class LockstepDevice(GpuDevice):
    """`compared` has what was done in both ways: the names of kernels, and ``"product"``."""

    def __init__(self, cupy: Any, numbers: Numbers) -> None:
        super().__init__(cupy, numbers, captured=False)
        self._host = HostCudaDevice()
        self.compared: set[str] = set()

    def load(self, text: str) -> tuple[Any, Any]:
        return super().load(text), self._host.load(text)

    def bind_launch(self, module: tuple[Any, Any], command: Launch, memory: Memory) -> Call:
        call = super().bind_launch(module[0], command, memory)
        names = {item.array for item in command.arguments if isinstance(item, Address)}
        what = f"{command.kernel}<{command.grid} x {command.block}>{command.arguments}"

        def repeat(copies: Memory) -> Call:
            return self._host.bind_launch(module[1], command, copies)

        return self._compare(command.kernel, what, call, repeat, names, memory)

    def bind_multiply(self, command: Multiply, memory: Memory) -> Call:
        call = super().bind_multiply(command, memory)
        names = {region.array for region in (command.out, command.a, command.b)}

        def repeat(copies: Memory) -> Call:
            return self._host.bind_multiply(command, copies)

        return self._compare("product", str(command), call, repeat, names, memory)

    def _compare(
        self,
        name: str,
        what: str,
        call: Call,
        repeat: Callable[[Memory], Call],
        arrays: Iterable[str],
        memory: Memory,
    ) -> Call:
        def make() -> None:
            copies = {array: self._bring(memory[array]) for array in arrays}
            repeat(copies)()
            call()
            for array, wanted in copies.items():
                assert_left(self._bring(memory[array]), wanted, f"{what} leaves something else in {array}")
            self.compared.add(name)

        return make

    def _bring(self, array: Any) -> np.ndarray:
        """A copy on the host, once all work before is done."""
        copy = self.allocate_host(array.size * array.itemsize).view(array.dtype)
        return array.get(out=copy)


def assert_left(found: np.ndarray, wanted: np.ndarray, what: str) -> None:
    if wanted.dtype.name not in ROUNDING:
        differ = found != wanted
    else:
        finite = np.isfinite(wanted)
        allowed = ROUNDING[wanted.dtype.name] * np.abs(wanted[finite]).max(initial=0)
        with np.errstate(invalid="ignore"):
            near = (np.abs(found - wanted) <= allowed) & finite
        differ = ~near & ~((found == wanted) | (np.isnan(found) & np.isnan(wanted)))
    for first in np.flatnonzero(differ)[:1]:
        many = f"at {differ.sum()} of {wanted.size} places"
        raise AssertionError(f"{what}, {many}, first {first}: {found[first]}, not {wanted[first]}")
