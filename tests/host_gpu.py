"""Named networks on the cupy backend, with a CuPy that is the host's memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from host_cupy import HostCupy
from named_networks import draw_fields

from graphbptt.compiler import compile_network
from graphbptt.ir.batch import Batch
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.gpu import GpuDevice

__all__ = ["DOUBLE", "bind", "build", "derive"]

DOUBLE = np.dtype(np.float64)


def build(cupy: HostCupy, plan: Plan, captured: bool = True) -> DeviceExecutable:
    return DeviceExecutable(plan, DOUBLE, GpuDevice(cupy, Numbers(DOUBLE), captured))


def bind(
    network: Callable[[], FoldedNetwork], steps: int = 6, size: int = 3
) -> tuple[Plan, np.ndarray, Batch]:
    """The plan of a network, with parameters and a batch that are drawn for it."""
    plan = compile_network(network())
    batch = bind_batch(plan.network, draw_fields(size, steps, padded=False), steps, DOUBLE)
    return plan, draw_parameters(plan.network, plan.layout, 1, DOUBLE), batch


def derive(executable: DeviceExecutable, plan: Plan, vector: np.ndarray, batch: Batch) -> list[bytes]:
    """States, losses and derivatives, to the last bit."""
    states = [state.tobytes() for state in executable.run(vector, batch).values()]
    gradient = np.empty(plan.layout.free)
    losses = executable.loss_and_gradient(vector, batch, gradient)
    return [*states, losses.tobytes(), gradient.tobytes()]
