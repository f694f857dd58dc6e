"""Every kernel and every product leaves on a GPU what it leaves on the host: where it does not, it is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from lockstep_device import LockstepDevice
from named_networks import NETWORKS, draw_fields

from graphbptt.compiler import compile_network
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.presence import find_missing

MISSING = find_missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]


@pytest.mark.parametrize("launched", [True, False], ids=["launched", "persistent"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", NETWORKS)
def test_commands_leave_the_same_on_both(
    network: Callable[[], FoldedNetwork], dtype: str, launched: bool
) -> None:
    plan, kind = compile_network(network()), np.dtype(dtype)
    device = LockstepDevice(pytest.importorskip("cupy"), Numbers(kind))
    assert device.limits is not None
    device.limits = None if launched else replace(device.limits, double=device.limits.single)
    executable = DeviceExecutable(plan, kind, device)
    vector = draw_parameters(plan.network, plan.layout, 1, kind)
    for padded in (False, True):
        batch = bind_batch(plan.network, draw_fields(3, 5, padded), 5, kind)
        executable.run(vector, batch)
        executable.loss_and_gradient(vector, batch, np.empty(plan.layout.free, kind))
    assert len(device.compared) > 5
