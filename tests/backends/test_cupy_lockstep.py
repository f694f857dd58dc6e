"""Lockstep itself, with a CuPy that is the host's memory: what is wrong on a GPU is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from host_cupy import HostCupy
from host_gpu import DOUBLE, bind
from lockstep_device import LockstepDevice
from named_networks import NETWORKS

from graphbptt.codegen.launches.commands import Multiply
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.device import Call, Memory
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.gpu import GpuDevice


def run(device: LockstepDevice) -> None:
    plan, vector, batch = bind(NETWORKS[1])
    executable = DeviceExecutable(plan, DOUBLE, device)
    executable.loss_and_gradient(vector, batch, np.empty(plan.layout.free))


def test_what_is_right_is_compared(cupy: HostCupy) -> None:
    device = LockstepDevice(cupy, Numbers(DOUBLE))
    run(device)
    assert {"product", "fill_history", "apply_map"} <= device.compared


def test_a_kernel_that_does_something_else_is_named(
    small_cupy: HostCupy, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = GpuDevice.load

    def spoil(device: GpuDevice, text: str) -> Callable[[str], Any]:
        return load(device, text.replace("real_tanh(real x) {", "real_tanh(real x) { return x;"))

    monkeypatch.setattr(GpuDevice, "load", spoil)
    with pytest.raises(
        AssertionError, match=r"^forward_\w+<1 x 256>.* leaves something else in [\w.]+, at \d+ of \d+ places"
    ):
        run(LockstepDevice(small_cupy, Numbers(DOUBLE)))


def test_a_product_that_is_another_is_named(small_cupy: HostCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    multiply = GpuDevice.bind_multiply

    def spoil(device: GpuDevice, command: Multiply, memory: Memory) -> Call:
        return multiply(device, replace(command, accumulate=not command.accumulate), memory)

    monkeypatch.setattr(GpuDevice, "bind_multiply", spoil)
    with pytest.raises(
        AssertionError, match=r"^Multiply\(out=Region\(array='[\w.]+'.* leaves something else in "
    ):
        run(LockstepDevice(small_cupy, Numbers(DOUBLE)))
