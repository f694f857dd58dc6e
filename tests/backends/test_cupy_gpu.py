"""What the cupy backend asks of CuPy: launched call by call and as graphs, with a CuPy that is the host's memory."""

from __future__ import annotations

import re
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
from loopback import VerifiedExecutable
from named_networks import NETWORKS, draw_fields
from persistent_checks import check_cell
from updating import assert_same_course, train_both

from graphbptt.codegen.launches.commands import Launch, Multiply
from graphbptt.compiler import compile_network
from graphbptt.errors import DataError, DeviceError
from graphbptt.ir.batch import Batch
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_cupy import backend, gpu
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.capture import Repetition
from graphbptt_cupy.device import Call, Memory
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.gpu import AT_ONCE, GpuDevice

DOUBLE = np.dtype(np.float64)


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> HostCupy:
    monkeypatch.setattr(gpu, "open_cublas", HostCupy.open_cublas)
    return HostCupy()


@pytest.fixture
def small_cupy(cupy: HostCupy) -> HostCupy:
    """Of a device where no scan's weights have room in shared memory: all steps are launched."""
    del cupy
    return HostCupy(shared=64)


def bind(network: Callable[[], FoldedNetwork], steps: int = 6) -> tuple[Plan, np.ndarray, Batch]:
    plan = compile_network(network())
    batch = bind_batch(plan.network, draw_fields(3, steps, padded=False), steps, DOUBLE)
    return plan, draw_parameters(plan.network, plan.layout, 1, DOUBLE), batch


def derive(executable: DeviceExecutable, plan: Plan, vector: np.ndarray, batch: Batch) -> list[bytes]:
    """States, losses and derivatives, to the last bit."""
    states = [state.tobytes() for state in executable.run(vector, batch).values()]
    gradient = np.empty(plan.layout.free)
    losses = executable.loss_and_gradient(vector, batch, gradient)
    return [*states, losses.tobytes(), gradient.tobytes()]


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_named_networks_agree_with_the_reference(
    cupy: HostCupy, network: Callable[[], FoldedNetwork], captured: bool
) -> None:
    plan, vector, batch = bind(network)
    executable = DeviceExecutable(plan, DOUBLE, GpuDevice(cupy, Numbers(DOUBLE), captured))
    for _ in range(2):
        assert_agreement(plan, executable, vector, batch)


def test_captured_equals_plain_bit_for_bit(cupy: HostCupy) -> None:
    plan, vector, batch = bind(NETWORKS[1])
    plain, captured = (
        DeviceExecutable(plan, DOUBLE, GpuDevice(cupy, Numbers(DOUBLE), captured))
        for captured in (False, True)
    )
    for change in (0.0, 0.1, 0.2, 0.3):
        assert derive(captured, plan, vector + change, batch) == derive(plain, plan, vector + change, batch)


class SameProducts(HostCudaDevice):
    """Starts the kernels by itself, and asks a GPU for products alone, which it adds up by columns, as cuBLAS does: by
    rows they may differ in the last bit."""

    def __init__(self, cupy: HostCupy) -> None:
        self._cupy, self._gpu = cupy, GpuDevice(cupy, Numbers(DOUBLE), captured=False)
        super().__init__(limits=self._gpu.limits)

    def bind_multiply(self, command: Multiply, memory: Memory) -> Call:
        arrays = {name: HostArray(self._cupy, array) for name, array in memory.items()}
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
    captured = DeviceExecutable(plan, DOUBLE, GpuDevice(cupy, Numbers(DOUBLE)))
    for change in (0.0, 0.1, 0.2):
        assert derive(captured, plan, vector + change, batch) == derive(alone, plan, vector + change, batch)
    assert cupy.counts["graph"] > 0


def test_persistent_kernels_have_more_shared_memory_than_any_block_gets(cupy: HostCupy) -> None:
    """They ask for it, and get what they ask for: with less, they write behind it."""

    class Stingy(GpuDevice):
        def bind_launch(self, module: Callable[[str], Any], command: Launch, memory: Memory) -> Call:
            return super().bind_launch(module, replace(command, shared=command.shared // 2), memory)

    def build(device: type[GpuDevice], plan: Plan, dtype: type[np.floating]) -> DeviceExecutable:
        return DeviceExecutable(plan, np.dtype(dtype), device(cupy, Numbers(np.dtype(dtype))))

    for launch in check_cell(partial(build, GpuDevice), "lstm", 48, 5, 11):
        assert launch.shared > AT_ONCE
    with pytest.raises(AssertionError, match="writes behind the shared memory"):
        check_cell(partial(build, Stingy), "lstm", 48, 5, 11)


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


def test_what_was_captured_is_launched_as_graphs_alone(small_cupy: HostCupy) -> None:
    """No kernel or product by a call of its own, no memory, and one wait for all that comes down at once.

    What is wanted goes up while the first of two graphs runs.
    """
    counts = count_calls(small_cupy, 40, 4)
    assert counts[0]["launch"] > 40
    assert counts[0]["multiply"] > 40
    assert counts[2] == counts[3]
    assert counts[2].keys() == {"graph", "copy", "wait"}
    assert (counts[2]["graph"], counts[2]["wait"]) == (2, 1)


def test_scans_whose_weights_have_room_are_a_launch_each(cupy: HostCupy) -> None:
    """As many for long sequences as for short ones."""
    (short,), (long,) = (count_calls(cupy, steps, 1) for steps in (4, 40))
    assert long == short
    assert long["launch"] < 40


def count_calls(cupy: HostCupy, steps: int, times: int) -> list[dict[str, int]]:
    """What is called for the same derivatives of an LSTM, time after time."""
    plan, vector, batch = bind(NETWORKS[1], steps)
    executable = DeviceExecutable(plan, DOUBLE, GpuDevice(cupy, Numbers(DOUBLE)))
    gradient = np.empty(plan.layout.free)
    counts = []
    for _ in range(times):
        cupy.counts.clear()
        executable.loss_and_gradient(vector, batch, gradient)
        counts.append(dict(cupy.counts))
    return counts


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
            super().run([*calls, self._stream.synchronize, self._copying.synchronize])

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


def test_the_host_has_memory_for_states_where_they_are_asked_for(cupy: HostCupy) -> None:
    plan, vector, batch = bind(NETWORKS[1], steps=100)
    executable = DeviceExecutable(plan, DOUBLE, GpuDevice(cupy, Numbers(DOUBLE)))
    executable.loss_and_gradient(vector, batch, np.empty(plan.layout.free))
    derived = cupy.pinned
    states = executable.run(vector, batch)
    size = sum(state.nbytes for state in states.values())
    assert derived < size <= cupy.pinned - derived


def test_long_sequences_are_several_graphs(cupy: HostCupy) -> None:
    done: list[int] = []
    stream = cupy.cuda.Stream(non_blocking=True)
    calls = [(lambda number=number: cupy.start("launch", lambda: done.append(number))) for number in range(7)]
    repetition = Repetition(calls, stream, most=3)
    with stream:
        for _ in range(3):
            repetition()
        stream.synchronize()
    assert done == [*range(7)] * 3
    assert cupy.counts == {"launch": 7, "graph": 6, "wait": 1}


def test_a_stream_is_not_left_captured(cupy: HostCupy) -> None:
    stream = cupy.cuda.Stream(non_blocking=True)
    runs: list[None] = []

    def fail_later() -> None:
        runs.append(None)
        if len(runs) > 1:
            raise MemoryError

    repetition = Repetition([fail_later], stream)
    with stream:
        repetition()
        with pytest.raises(MemoryError):
            repetition()
    assert stream.recorded is None


def test_a_batch_that_does_not_fit_says_what_would(cupy: HostCupy) -> None:
    plan, vector, _ = bind(NETWORKS[1])
    executable = DeviceExecutable(plan, DOUBLE, GpuDevice(cupy, Numbers(DOUBLE)))
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
    executable = DeviceExecutable(plan, DOUBLE, GpuDevice(cupy, Numbers(DOUBLE)))
    cupy.memory = 34 * 2**20
    for steps in (20, 21, 22, 20):
        batch = bind_batch(plan.network, draw_fields(80, steps, padded=False), steps, DOUBLE)
        assert np.isfinite(executable.loss(vector, batch)).all()


def test_a_device_that_stops_is_an_error_of_its_own(cupy: HostCupy) -> None:
    plan, vector, batch = bind(NETWORKS[0])
    cupy.failing = "fill_history"
    executable = DeviceExecutable(plan, DOUBLE, GpuDevice(cupy, Numbers(DOUBLE)))
    with pytest.raises(DeviceError, match="the GPU stopped in the middle: cudaErrorLaunchFailure") as error:
        executable.loss(vector, batch)
    assert error.value.exit_code == 6
