"""What scans that are one launch have to be and to compute, whatever the device."""

from __future__ import annotations

import numpy as np
from agreement import assert_agreement
from device_checks import Build
from recurrent_cells import INPUTS, plan_cell

from graphbptt.codegen.launches.commands import Launch
from graphbptt.codegen.launches.launch_plan import LaunchShape
from graphbptt.ir.layout import draw_parameters
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_cupy.executable import DeviceExecutable

__all__ = ["check_cell", "list_persistent"]


def list_persistent(executable: DeviceExecutable, steps: int, size: int) -> list[Launch]:
    """The persistent kernels that are launched for a batch."""
    shape = LaunchShape(steps, size)
    plan = executable._schedule(shape, executable._write_persistent(shape))
    launches = (command for command in plan.commands() if isinstance(command, Launch))
    return [command for command in launches if command.kernel.startswith("persistent")]


def check_cell(build: Build, kind: str, units: int, steps: int, size: int) -> tuple[Launch, Launch]:
    """A cell whose scan is one launch forward and one backward agrees with the reference; returns these launches."""
    plan = plan_cell(kind, units)
    numbers = np.random.default_rng(0)
    fields = {"x": numbers.normal(size=(size, steps, INPUTS)), "y": numbers.normal(size=(size, steps, 2))}
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    executable = build(plan, np.float64)
    assert_agreement(plan, executable, vector, bind_batch(plan.network, fields, steps, np.float64))
    forward, backward = list_persistent(executable, steps, size)
    return forward, backward
