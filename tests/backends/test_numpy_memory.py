"""What the numpy backend allocates, and what stays in its memory from one call to the next."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import assert_close
from named_networks import NETWORKS, draw_fields
from plans import draw

import graphbptt_numpy.executable
from graphbptt.compiler import compile_network
from graphbptt.ir.batch import Batch, CarriedState
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_numpy import NumpyExecutable
from graphbptt_numpy.workspace import Workspace

DOUBLE = np.dtype(np.float64)


def gated() -> FoldedNetwork:
    """Products, gates, a softmax, delays and a reverse scan, with a loss at the last step only."""
    nodes: dict[str, dict[str, Any]] = {
        "x": {"units": 3},
        "g": {"units": 4, "activation": "logistic"},
        "p": {"units": 4, "activation": "softmax"},
        "h": {"units": 4, "activation": "g * p * tanh(net) + 0.5 * h[t-2]", "initial": "learned"},
        "b": {"units": 4, "activation": "tanh"},
        "y": {"units": 2},
    }
    edges = [
        ("x", "g", 0),
        ("h", "g", 1),
        ("h", "p", 1),
        ("h", "h", 1),
        ("x", "b", 0),
        ("b", "b", -1),
        ("h", "y", 0),
        ("b", "y", 0),
    ]
    return draw(nodes, *edges, clamps=["x"], targets=[Target("y", "y", at="last")])


def measure_peak(call: Callable[[], object]) -> int:
    """The bytes that a call holds at once, at most, on top of what was there before it."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before


def run_again(network: FoldedNetwork, steps: int) -> int:
    """The peak of a second call on the same batch."""
    plan = compile_network(network)
    rng = np.random.default_rng(0)
    fields = {"x": rng.normal(size=(2, steps, 3)), "y": rng.normal(size=(2, steps, 2))}
    batch = bind_batch(network, fields, dtype=DOUBLE)
    executable, vector = NumpyExecutable(plan, DOUBLE), rng.normal(size=plan.layout.size)
    gradient = np.zeros(plan.layout.free)
    executable.loss_and_gradient(vector, batch, gradient)
    return measure_peak(lambda: executable.loss_and_gradient(vector, batch, gradient))


def test_a_second_call_holds_no_stack_of_steps() -> None:
    """NumPy itself copies an operand of a product over a whole sequence, one at a time: far less than the stacks."""
    network, more = gated(), 2700
    stacks = sum(buffer.width for buffer in compile_network(network).buffers) * more * 2 * DOUBLE.itemsize
    assert run_again(network, 300 + more) - run_again(network, 300) < stacks / 8


def test_outputs_and_losses_do_not_grow_with_the_number_of_calls() -> None:
    network = gated()
    plan = compile_network(network)
    rng = np.random.default_rng(0)
    batch = bind_batch(
        network, {"x": rng.normal(size=(2, 9, 3)), "y": rng.normal(size=(2, 9, 2))}, dtype=DOUBLE
    )
    executable, vector = NumpyExecutable(plan, DOUBLE), rng.normal(size=plan.layout.size)
    gradient = np.zeros(plan.layout.free)

    def call(times: int) -> None:
        for _ in range(times):
            executable.loss_and_gradient(vector, batch, gradient)

    call(2)
    assert measure_peak(lambda: call(20)) < 2 * measure_peak(lambda: call(2)) + 1000


def test_memory_does_not_grow_with_the_windows_of_a_long_sequence() -> None:
    """The number of copies that a mean divides by changes up to the last listed step, not after it."""
    nodes: dict[str, dict[str, Any]] = {"x": {}, "h": {"units": 40, "activation": "tanh"}}
    group = {"group": "W", "combine": "mean"}
    clamps = [Clamp("x", "x"), Clamp("h", "kept", at=(2,))]
    network = draw(
        nodes, ("x", "h", 0), ("h", "h", 1, {"tie": group}), clamps=clamps, targets=[Target("h", "y")]
    )
    plan = compile_network(network)
    fields = {"x": np.ones((1, 5, 1)), "kept": np.zeros((1, 5, 40)), "y": np.ones((1, 5, 40))}
    executable, vector = NumpyExecutable(plan, DOUBLE), np.full(plan.layout.size, 0.1)
    gradient = np.zeros(plan.layout.free)
    rows = {"h": np.zeros((1, 1, 40)), "x": np.zeros((1, 1, 1))}

    def walk(first: int, last: int) -> None:
        for offset in range(first, last):
            batch = bind_batch(network, fields, dtype=DOUBLE, carried=CarriedState(rows, offset), size=1)
            executable.loss_and_gradient(vector, batch, gradient)

    walk(1, 5)
    assert measure_peak(lambda: walk(5, 65)) < measure_peak(lambda: walk(65, 70)) + 40 * 40 * 8


def gradient_of(
    network: FoldedNetwork, executable: NumpyExecutable, vector: np.ndarray, batch: Batch
) -> np.ndarray:
    free = sum(group.size for group in network.groups if group.trainable)
    gradient = np.full(free, np.nan)
    executable.loss_and_gradient(vector, batch, gradient)
    return gradient


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("declare", NETWORKS)
def test_nothing_of_a_diverged_call_is_left(declare: Callable[[], FoldedNetwork], padded: bool) -> None:
    """After NaN everywhere, the same memory computes what fresh memory computes."""
    network = declare()
    plan = compile_network(network)
    batch = bind_batch(network, draw_fields(2, 6, padded), dtype=DOUBLE)
    vector = np.random.default_rng(1).normal(size=plan.layout.size)
    used, fresh = NumpyExecutable(plan, DOUBLE), NumpyExecutable(plan, DOUBLE)
    assert np.isnan(gradient_of(network, used, np.full_like(vector, np.nan), batch)).any()
    expected = gradient_of(network, fresh, vector, batch)
    assert np.isfinite(expected).all()
    assert_close(gradient_of(network, used, vector, batch), expected, 1.0, "gradient")


def count_bindings(monkeypatch: pytest.MonkeyPatch, steps: int, rounds: int) -> int:
    """How often memory is bound for batches of 1 to `steps` steps, over and over, as truncation asks for them."""
    bound: list[int] = []

    class Counted(Workspace):
        def __init__(self, plan: Plan, length: int, *rest: Any) -> None:
            bound.append(length)
            super().__init__(plan, length, *rest)

    monkeypatch.setattr(graphbptt_numpy.executable, "Workspace", Counted)
    plan = compile_network(gated())
    executable, vector = NumpyExecutable(plan, DOUBLE), np.zeros(plan.layout.size)
    gradient = np.zeros(plan.layout.free)
    for _ in range(rounds):
        for length in range(1, steps + 1):
            batch = bind_batch(plan.network, draw_fields(1, length, False), dtype=DOUBLE)
            executable.loss_and_gradient(vector, batch, gradient)
    return len(bound)


def test_small_shapes_are_all_kept_and_large_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_bindings(monkeypatch, steps=12, rounds=3) == 12
    monkeypatch.setattr(graphbptt_numpy.executable, "KEPT_BYTES", 0)
    assert count_bindings(monkeypatch, steps=8, rounds=3) == 8
    assert count_bindings(monkeypatch, steps=12, rounds=3) == 36


def test_the_bytes_of_a_shape_are_about_what_it_takes() -> None:
    plan = compile_network(gated())
    batch = bind_batch(plan.network, draw_fields(64, 50, False), dtype=DOUBLE)
    executable, vector = NumpyExecutable(plan, DOUBLE), np.zeros(plan.layout.size)
    gradient = np.zeros(plan.layout.free)
    taken = measure_peak(lambda: executable.loss_and_gradient(vector, batch, gradient))
    assert 0.7 * taken < executable._measure() < 1.3 * taken
