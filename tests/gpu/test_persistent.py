"""Scans that are one launch, on a GPU: blocks of one example and of several, with little and much shared memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from persistent_checks import check_cell

from graphbptt.ir.plan import Plan
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.gpu import GpuDevice
from graphbptt_cupy.presence import find_missing

MISSING = find_missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]


def build(plan: Plan, dtype: Any) -> DeviceExecutable:
    """A plan on the current GPU, whose choices are those of one that is as fast in float64 as in float32."""
    device = GpuDevice(pytest.importorskip("cupy"), Numbers(np.dtype(dtype), plan.precision))
    device.limits = replace(device.limits, double=device.limits.single)
    return DeviceExecutable(plan, np.dtype(dtype), device)


@pytest.mark.parametrize("size", [1, 7, 301])
@pytest.mark.parametrize(("kind", "units"), [("rnn", 17), ("rnn", 100), ("lstm", 50), ("gru", 60)])
def test_cells_agree_with_the_reference(kind: str, units: int, size: int) -> None:
    """Weights of the larger ones take about 80 KiB, which a block has only if it asks for it."""
    for launch in check_cell(build, kind, units, 6, size):
        assert launch.grid <= size
