"""What the cupy backend computes by what it asks of CuPy, with a CuPy that is the host's memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from agreement import assert_agreement
from host_cuda import HostCudaDevice
from host_cupy import HostArray, HostCupy
from host_gpu import DOUBLE, bind, build, derive
from loopback import VerifiedExecutable
from named_networks import NETWORKS, draw_fields
from persistent_checks import check_cell
from updating import assert_same_course, train_both

from graphbptt.codegen.launches.commands import Launch, Multiply
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_cupy import backend
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.device import Call, Memory
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.gpu import AT_ONCE, GpuDevice


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_named_networks_agree_with_the_reference(
    cupy: HostCupy, network: Callable[[], FoldedNetwork], captured: bool
) -> None:
    plan, vector, batch = bind(network)
    executable = build(cupy, plan, captured)
    for _ in range(2):
        assert_agreement(plan, executable, vector, batch)


class SameProducts(HostCudaDevice):
    """Starts the kernels by itself, and asks a GPU for products alone, which it adds up by columns, as cuBLAS does: by
    rows they may differ in the last bit."""

    def __init__(self, cupy: HostCupy) -> None:
        self._cupy, self._gpu = cupy, GpuDevice(cupy, Numbers(DOUBLE), captured=False)
        super().__init__(limits=self._gpu.limits)

    def bind_multiply(self, command: Multiply, memory: Memory) -> Call:
        arrays = {name: HostArray(self._cupy, array, self._cupy.device) for name, array in memory.items()}
        return partial(self._gpu.run, [self._gpu.bind_multiply(command, arrays)])


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("shared", [64, 227 * 1024], ids=["launched", "persistent"])
@pytest.mark.parametrize("network", NETWORKS)
def test_captured_kernels_leave_what_they_do_by_themselves(
    network: Callable[[], FoldedNetwork], shared: int
) -> None:
    """To the last bit: nothing of how they are started, copied to, and captured changes a number."""
    cupy = HostCupy(shared=shared)
    plan, vector, batch = bind(network)
    alone = VerifiedExecutable(plan, DOUBLE, SameProducts(HostCupy(shared=shared)))
    captured = build(cupy, plan)
    for change in (0.0, 0.1, 0.2):
        assert derive(captured, plan, vector + change, batch) == derive(alone, plan, vector + change, batch)
    assert cupy.counts["graph"] > 0


def test_persistent_kernels_have_more_shared_memory_than_any_block_gets(cupy: HostCupy) -> None:
    """They ask for it, and get what they ask for: with less, they write behind it."""

    class Stingy(GpuDevice):
        def bind_launch(self, module: Callable[[str], Any], command: Launch, memory: Memory) -> Call:
            return super().bind_launch(module, replace(command, shared=command.shared // 2), memory)

    def build_by(device: type[GpuDevice], plan: Plan, dtype: type[np.floating]) -> DeviceExecutable:
        return DeviceExecutable(plan, np.dtype(dtype), device(cupy, Numbers(np.dtype(dtype))))

    for launch in check_cell(partial(build_by, GpuDevice), "lstm", 48, 5, 11):
        assert launch.shared > AT_ONCE
    with pytest.raises(AssertionError, match="writes behind the shared memory"):
        check_cell(partial(build_by, Stingy), "lstm", 48, 5, 11)


def test_captured_updates_are_those_of_the_host(cupy: HostCupy) -> None:
    """What they keep from one to the next, and what they count, is read anew whenever they are launched."""
    vectors = []
    for captured in (False, True):
        device = GpuDevice(cupy, Numbers(DOUBLE), captured)
        models, histories = train_both(
            lambda plan, dtype, device=device: DeviceExecutable(plan, np.dtype(dtype), device),
            optimizer={"adamw": {"rate": 0.02, "weight_decay": 0.1}},
            epochs=3,
            clip=0.5,
        )
        assert_same_course(models, histories)
        vectors.append(models[1].vector.tobytes())
    assert vectors[0] == vectors[1]


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("number", [0, 1])
def test_work_that_does_not_wait_for_its_copies_is_seen(cupy: HostCupy, number: int, captured: bool) -> None:
    """For parameters and states before all of it, or for what is wanted before the loss is measured."""

    class Hasty(GpuDevice):
        def bind_copies(self, copies: Sequence[Call]) -> tuple[Call, Call]:
            start, wait = super().bind_copies(copies)
            waits.append(wait)
            return start, wait if len(waits) != 1 + number else lambda: None

        def run(self, calls: Sequence[Call]) -> None:
            super().run([*calls, partial(self._stream.work_up_to, None), self._copying.synchronize])

    waits: list[Call] = []
    plan, vector, batch = bind(NETWORKS[0])
    executable = DeviceExecutable(plan, DOUBLE, Hasty(cupy, Numbers(DOUBLE), captured))
    gradient = np.zeros(plan.layout.free)
    executable.loss_and_gradient(vector, batch, gradient)
    assert len(waits) == 2
    assert np.isnan(gradient).any()


def test_a_run_ends_when_all_copies_do(cupy: HostCupy) -> None:
    """Those too that nothing in it needs."""

    class Careless(GpuDevice):
        def bind_copies(self, copies: Sequence[Call]) -> tuple[Call, Call]:
            start, _ = super().bind_copies(copies)
            return start, lambda: None

    plan, vector, batch = bind(NETWORKS[0])
    bound = DeviceExecutable(plan, DOUBLE, Careless(cupy, Numbers(DOUBLE))).bind_batch(batch)
    with pytest.raises(AssertionError, match="the host goes on"):
        bound.put_parameters(vector)


@pytest.mark.parametrize("reason", [KeyboardInterrupt, MemoryError])
def test_a_run_that_is_cut_short_leaves_no_work_behind(cupy: HostCupy, reason: type[BaseException]) -> None:
    """The host may write to what was copied from there, and another run to what was computed."""

    class Interrupted(GpuDevice):
        def run(self, calls: Sequence[Call]) -> None:
            super().run([*calls[:-1], interrupt, calls[-1]])

    def interrupt() -> None:
        raise reason

    plan, vector, batch = bind(NETWORKS[0])
    executable = DeviceExecutable(plan, DOUBLE, Interrupted(cupy, Numbers(DOUBLE)))
    with pytest.raises(reason):
        executable.loss(vector, batch)
    assert not any(stream.queue for stream in cupy.streams.values())


def test_products_keep_what_the_plan_says(small_cupy: HostCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no less: full, TF32 and bfloat16 are so far from double precision as their digits are."""
    monkeypatch.setitem(sys.modules, "cupy", small_cupy)
    plan, vector, batch = bind(NETWORKS[0])
    single = bind_batch(plan.network, draw_fields(3, 6, padded=False), 6, np.float32)
    exact = DeviceExecutable(plan, DOUBLE, GpuDevice(small_cupy, Numbers(DOUBLE))).run(vector, batch)
    errors = []
    for precision in backend.precisions:
        executable = backend.build(replace(plan, precision=precision), np.dtype(np.float32))
        states = executable.run(vector.astype(np.float32), single)
        errors.append(max(float(np.abs(states[name] - exact[name]).max()) for name in exact))
    for error, least, most in zip(errors, (0, 1e-5, 1e-4), (1e-6, 2e-3, 2e-2), strict=True):
        assert least < error < most
