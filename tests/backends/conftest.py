"""A CuPy in the host's memory, for tests of what the cupy backend asks of it."""

from __future__ import annotations

import pytest
from host_cupy import HostCupy

from graphbptt_cupy import gpu


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> HostCupy:
    monkeypatch.setattr(gpu, "open_cublas", HostCupy.open_cublas)
    return HostCupy()


@pytest.fixture
def small_cupy(cupy: HostCupy) -> HostCupy:
    """Of a device where no scan's weights have room in shared memory: all steps are launched."""
    del cupy
    return HostCupy(shared=64)
