"""The cupy backend on a GPU: all that is checked without one, and what cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from agreement import assert_agreement
from device_checks import (
    SHAPES,
    check_case,
    check_entries,
    check_many_entries,
    check_network,
    check_noise,
    check_single_steps,
    check_starts,
    check_stretch,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from named_networks import NETWORKS, draw_fields
from strategies import Case, cases
from updating import OPTIMIZERS, assert_same_course, build_model, train_both
from updating import draw_fields as draw_sums
from wide_networks import wide_cases

from graphbptt.compiler import compile_network
from graphbptt.declaration.choices import OptimizerChoice
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.plan import Plan
from graphbptt.ir.product_precision import PRODUCT_BITS, ProductPrecision
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.cut_batch import cut_batch
from graphbptt.training.optimizers import make_rule
from graphbptt.training.run_updates import run_updates
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.gpu import GpuDevice
from graphbptt_cupy.presence import find_missing

MISSING = find_missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

NAMED = pytest.mark.parametrize("network", NETWORKS)
FEW = settings(max_examples=max(10, settings().max_examples // 8))
"""Every network is compiled for the GPU first."""


def build(plan: Plan, dtype: Any, *, captured: bool = True, launched: bool = False) -> DeviceExecutable:
    """A plan on the current GPU; with `launched` no scan is a persistent kernel."""
    cupy = pytest.importorskip("cupy")
    device = GpuDevice(cupy, Numbers(np.dtype(dtype), plan.precision), captured)
    if launched:
        device.limits = None
    return DeviceExecutable(plan, np.dtype(dtype), device)


@FEW
@given(case=cases())
def test_random_graphs_agree_with_the_reference(case: Case) -> None:
    check_case(build, case)


@FEW
@given(case=wide_cases())
def test_wide_networks_agree_with_the_reference(case: Case) -> None:
    check_case(build, case, scale=0.3)


@NAMED
@pytest.mark.parametrize("launched", [False, True])
def test_named_networks_agree_with_the_reference(
    network: Callable[[], FoldedNetwork], launched: bool
) -> None:
    check_network(partial(build, launched=launched), network)


@FEW
@given(case=cases(causal=True), data=st.data())
def test_stretches_agree_with_the_reference(case: Case, data: st.DataObject) -> None:
    check_stretch(build, case, data)


@FEW
@given(case=cases(causal=True))
def test_single_steps_are_the_whole(case: Case) -> None:
    check_single_steps(build, case)


@NAMED
def test_bits_of_states_do_not_depend_on_the_number_of_steps(network: Callable[[], FoldedNetwork]) -> None:
    """In float64, where nothing looks ahead: the first steps of many are those of few."""
    plan = compile_network(network())
    executable = build(plan, np.float64)
    if not executable._stepwise:
        pytest.skip("it looks ahead")
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    whole = bind_batch(plan.network, draw_fields(5, 9, padded=False), 9, np.float64)
    states = {name: np.array(found) for name, found in executable.run(vector, whole).items()}
    for steps in (1, 4, 8):
        part = executable.run(vector, cut_batch(plan.network, whole, 0, steps))
        for name, found in part.items():
            assert found.tobytes() == states[name][:steps].tobytes(), (name, steps)


def test_noise_is_drawn_in_the_kernels() -> None:
    check_noise(build)


@pytest.mark.parametrize("delay", [0, 1])
def test_weights_kept_as_entries(delay: int) -> None:
    check_entries(build, delay)


def test_many_weights_kept_as_entries() -> None:
    check_many_entries(build)


@pytest.mark.parametrize("size", [16, 17, 1000])
def test_starts_of_small_batches_and_of_large_ones(size: int) -> None:
    check_starts(build, size)


@NAMED
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_captured_equals_plain_bit_for_bit(network: Callable[[], FoldedNetwork], dtype: Any) -> None:
    """Every call of the captured one: the first is not yet a graph, the second makes it, the third repeats it."""
    plan = compile_network(network())
    plain, captured = (build(plan, dtype, captured=captured) for captured in (False, True))
    vector = draw_parameters(plan.network, plan.layout, 1, dtype)
    for batch, steps, padded in SHAPES[:3]:
        bound = bind_batch(plan.network, draw_fields(batch, steps, padded), steps, dtype)
        wanted = derive(plain, plan, vector, bound)
        for _ in range(3):
            assert derive(captured, plan, vector, bound) == wanted


def derive(executable: DeviceExecutable, plan: Plan, vector: np.ndarray, batch: Any) -> list[bytes]:
    """States, losses and derivatives, to the last bit."""
    states = [state.tobytes() for state in executable.run(vector, batch).values()]
    gradient = np.empty(plan.layout.free, vector.dtype)
    losses = executable.loss_and_gradient(vector, batch, gradient)
    return [*states, losses.tobytes(), gradient.tobytes()]


@NAMED
def test_a_step_allocates_nothing_and_waits_once(network: Callable[[], FoldedNetwork]) -> None:
    plan = compile_network(network())
    executable = build(plan, np.float32)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float32)
    batch = bind_batch(plan.network, draw_fields(4, 30, padded=False), 30, np.float32)
    gradient = np.empty(plan.layout.free, np.float32)
    for _ in range(3):
        executable.loss_and_gradient(vector, batch, gradient)
    with count_calls() as counts:
        executable.loss_and_gradient(vector, batch, gradient)
    assert counts == {"allocate": 0, "wait": 1}


def test_a_model_stays_on_its_device() -> None:
    """Where there are several, whichever is the current one later."""
    cupy = pytest.importorskip("cupy")
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("there is one GPU alone")
    plan = compile_network(NETWORKS[1]())
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    batch = bind_batch(plan.network, draw_fields(3, 6, padded=True), 6, np.float64)
    with cupy.cuda.Device(0):
        executable = build(plan, np.float64)
    for number in (1, 0, 1):
        with cupy.cuda.Device(number):
            assert_agreement(plan, executable, vector, batch)
            assert cupy.cuda.Device().id == number


def test_what_is_recorded_is_launched_as_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing refuses to be: then all would be started call by call, and be as right as it is slow."""
    refused: list[str] = []
    monkeypatch.setattr("graphbptt_cupy.capture.log_once", refused.append)
    plan = compile_network(NETWORKS[1]())
    executable = build(plan, np.float32, launched=True)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float32)
    batch = bind_batch(plan.network, draw_fields(4, 30, padded=False), 30, np.float32)
    for _ in range(3):
        derive(executable, plan, vector, batch)
    assert refused == []


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda choice: next(iter(choice)))
def test_training_takes_the_course_of_the_host(optimizer: dict[str, Any]) -> None:
    assert_same_course(*train_both(build, penalty=True, optimizer=optimizer, epochs=6, clip=0.5))


def test_an_update_allocates_nothing_and_waits_twice() -> None:
    """For the copies of the one before, if there is one, and for its end."""
    model = build_model(build)
    updater = model.bind_update(make_rule(OptimizerChoice(adam={})), 1.0)
    assert updater is not None
    updater.load(model.vector)
    batches = [model.bind(draw_sums(4)) for _ in range(3)]
    for _ in run_updates(updater, batches):
        pass
    with count_calls() as counts:
        for _ in run_updates(updater, batches):
            pass
    assert counts == {"allocate": 0, "wait": 2 * 3 - 1}


@contextmanager
def count_calls() -> Iterator[dict[str, int]]:
    """How much memory is asked for, and how often the host waits."""
    cupy = pytest.importorskip("cupy")
    counts = {"allocate": 0, "wait": 0}
    wait = cupy.cuda.runtime.streamSynchronize

    class Hook(cupy.cuda.MemoryHook):
        name = "count"

        def malloc_preprocess(self, **_: Any) -> None:
            counts["allocate"] += 1

    def synchronize(stream: Any) -> None:
        counts["wait"] += 1
        wait(stream.ptr)

    with pytest.MonkeyPatch.context() as patch, Hook():
        patch.setattr(cupy.cuda.Stream, "synchronize", synchronize)
        yield counts


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_products_keep_what_the_precision_says(precision: ProductPrecision) -> None:
    """Of states that are sums of products, as many bits are right as products keep."""
    plan = compile_network(NETWORKS[0]())
    batch = bind_batch(plan.network, draw_fields(64, 6, padded=False), 6, np.float32)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float32)
    exact, rounded = (
        build(replace(plan, precision=kept), np.float32, launched=True).run(vector, batch)["y"].copy()
        for kept in ("full", precision)
    )
    error = np.abs(rounded - exact).max() / np.abs(exact).max()
    assert error * 2.0 ** PRODUCT_BITS[precision] < 2.0**2
