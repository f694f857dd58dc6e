"""What the cupy backend makes of what CUDA says, and of a device that is not the current one, with a CuPy that is the
host's memory."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from agreement import assert_agreement
from host_cupy import FIRST_DEVICE, HostCupy, HostRuntimeError
from host_gpu import DOUBLE, bind, build
from named_networks import NETWORKS

from graphbptt.errors import BackendError, CompilerError, DeviceError
from graphbptt_cupy import backend
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.gpu import GpuDevice


def test_a_device_that_stops_is_an_error_of_its_own(cupy: HostCupy) -> None:
    plan, vector, batch = bind(NETWORKS[0])
    cupy.failing = "fill_history"
    executable = build(cupy, plan)
    with pytest.raises(DeviceError, match="the GPU stopped in the middle: cudaErrorLaunchFailure") as error:
        executable.loss(vector, batch)
    assert error.value.exit_code == 6


def test_kernels_that_nvrtc_does_not_take(cupy: HostCupy) -> None:
    with pytest.raises(CompilerError, match=r"NVRTC does not take .* error: no such function"):
        GpuDevice(cupy, Numbers(DOUBLE)).load("#error")


def test_a_folder_that_kernels_cannot_be_kept_in(cupy: HostCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/home/nobody/.cupy")

    monkeypatch.setattr(cupy, "RawModule", lambda **_: SimpleNamespace(compile=fail, get_function=None))
    with pytest.raises(
        BackendError, match=r"cannot keep .*'/home/nobody/\.cupy'; name another .* \$CUPY_CACHE_DIR"
    ):
        GpuDevice(cupy, Numbers(DOUBLE)).load("")


def test_a_gpu_that_something_else_has(monkeypatch: pytest.MonkeyPatch, cupy: HostCupy) -> None:
    """It is there, so that nothing is missing; `auto` goes on to another backend."""

    def fail(**_: bool) -> None:
        raise HostRuntimeError(
            "cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable"
        )

    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(cupy.cuda, "Stream", fail)
    with pytest.raises(
        BackendError, match=r"^the GPU cannot be used: cudaErrorDevicesUnavailable: .*; nvidia-smi"
    ):
        backend.build(bind(NETWORKS[0])[0], DOUBLE)


@pytest.mark.parametrize("captured", [False, True])
def test_a_model_stays_on_the_device_that_it_was_built_on(cupy: HostCupy, captured: bool) -> None:
    """Whichever is the current one later: for another thread that is the first, until it says otherwise."""
    plan, vector, batch = bind(NETWORKS[1])
    executable = build(cupy, plan, captured)
    cupy.device += 1
    for _ in range(2):
        assert_agreement(plan, executable, vector, batch)
    assert cupy.device == FIRST_DEVICE + 1
