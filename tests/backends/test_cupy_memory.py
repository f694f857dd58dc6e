"""The memory that the cupy backend takes, with a CuPy that is the host's memory."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from host_cupy import HostCupy
from host_gpu import DOUBLE, bind, build
from named_networks import NETWORKS, draw_fields

from graphbptt.compiler import compile_network
from graphbptt.declaration.choices import OptimizerChoice
from graphbptt.errors import DataError
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.training.optimizers import make_rule
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.gpu import GpuDevice

SINGLE = np.dtype(np.float32)


def test_the_host_has_memory_for_states_where_they_are_asked_for(cupy: HostCupy) -> None:
    plan, vector, batch = bind(NETWORKS[1], steps=100)
    executable = build(cupy, plan)
    executable.loss_and_gradient(vector, batch, np.empty(plan.layout.free))
    derived = cupy.pinned
    states = executable.run(vector, batch)
    size = sum(state.nbytes for state in states.values())
    assert derived < size <= cupy.pinned - derived


def test_a_batch_that_does_not_fit_says_what_would(cupy: HostCupy) -> None:
    plan, vector, _ = bind(NETWORKS[1])
    executable = build(cupy, plan)
    cupy.memory = 32 * 2**20 + 2**18
    large = bind_batch(plan.network, draw_fields(200, 60, padded=False), 60, DOUBLE)
    with pytest.raises(
        DataError, match=r"batch of 200 sequences of 60 steps: .* take batches of \d+, or cut"
    ) as error:
        executable.loss(vector, large)
    size = int(re.findall(r"batches of (\d+)", str(error.value))[0])
    assert 1 < size < 200
    executable.loss(vector, bind_batch(plan.network, draw_fields(size, 60, padded=False), 60, DOUBLE))


def test_memory_of_other_shapes_is_given_up_for_one_that_needs_it(cupy: HostCupy) -> None:
    plan, vector, _ = bind(NETWORKS[1])
    executable = build(cupy, plan)
    cupy.memory = 34 * 2**20
    for steps in (20, 21, 22, 20):
        batch = bind_batch(plan.network, draw_fields(80, steps, padded=False), steps, DOUBLE)
        assert np.isfinite(executable.loss(vector, batch)).all()


@pytest.mark.parametrize("network", NETWORKS)
def test_all_that_is_pinned_is_copied(cupy: HostCupy, network: Callable[[], FoldedNetwork]) -> None:
    """By states, derivatives and updates of one batch: the system cannot move it, so it has to have a use."""
    plan = compile_network(network())
    fields = draw_fields(4, 6, padded=True)
    batch = bind_batch(plan.network, fields, 6, SINGLE)
    vector = draw_parameters(plan.network, plan.layout, 1, SINGLE)
    device = GpuDevice(cupy, Numbers(SINGLE))
    executable = DeviceExecutable(plan, SINGLE, device)
    updater = executable.bind_update(make_rule(OptimizerChoice(adam={})), 1.0)
    updater.load(vector)
    updater.prepare(batch)
    updater.start()
    updater.finish()
    updater.fetch(*(np.empty(plan.layout.free, SINGLE) for _ in range(3)))
    executable.run(vector, batch)
    pins = [pin for pin in (reference() for reference in cupy.pins) if pin is not None]
    assert len(pins) > 5
    assert [pin.nbytes for pin in pins if id(pin) not in cupy.copied] == []
