"""The memory that the cupy backend takes, with a CuPy that is the host's memory."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from host_cupy import HostCupy
from host_gpu import DOUBLE, bind, build
from named_networks import NETWORKS, draw_fields

import graphbptt
from graphbptt.compiler import compile_network
from graphbptt.declaration.choices import OptimizerChoice
from graphbptt.errors import DataError
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.training.loop import train
from graphbptt.training.optimizers import make_rule
from graphbptt_cupy import executable as executable_module
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


def build_dense(cupy: HostCupy, units: int) -> graphbptt.Model:
    """Most of what it takes are weights, and what an optimizer keeps beside them."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=2)
    graph.add_node("h", units=units, activation="tanh")
    graph.add_node("y", units=1)
    graph.add_edges_from([("x", "h"), ("h", "h"), ("h", "y")])
    model = graphbptt.compile(
        graph, [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")], "numpy", "float64"
    )
    model._executable = build(cupy, model.plan)
    return model


def draw_pairs(examples: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {"x": random.normal(0, 0.5, (examples, 6, 2)), "y": random.normal(0, 0.5, (examples, 6, 1))}


def measure_training(units: int, examples: int) -> int:
    """The bytes of a device that training by batches of one size takes."""
    cupy = HostCupy()
    model = build_dense(cupy, units)
    train(model, draw_pairs(examples), batch=examples, epochs=1)
    return cupy.memory - cupy.cuda.runtime.memGetInfo()[0]


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("rest", [180, 390])
def test_a_smaller_last_batch_is_trained_on_in_the_place_of_a_larger_one(rest: int) -> None:
    """Which has to be done before its memory can be given up; numbers are those without a lack of it."""
    one, alone = measure_training(8, 400), measure_training(8, 1)
    histories = []
    for memory in (alone + (one - alone) * 5 // 4, 2**40):
        cupy = HostCupy(memory)
        model = build_dense(cupy, 8)
        settings = {"batch": 400, "epochs": 3, "seed": 1, "validation": draw_pairs(350)}
        histories.append((train(model, draw_pairs(400 + rest), **settings), model.vector.tobytes()))
    assert histories[0] == histories[1]


@pytest.mark.usefixtures("cupy")
def test_what_optimizers_keep_is_not_counted_against_what_is_free() -> None:
    """So a batch is named that does fit, although weights and moments take most of the memory."""
    few, many = measure_training(300, 1), measure_training(300, 41)
    each = (many - few) // 40
    cupy = HostCupy(few + each * 20)
    with pytest.raises(DataError, match="take batches of") as error:
        train(build_dense(cupy, 300), draw_pairs(40), batch=40, epochs=1)
    found = re.findall(r"take ([\d,]+) bytes, of which ([\d,]+) are.* batches of (\d+)", str(error.value))
    taken, free, size = (int(number.replace(",", "")) for number in found[0])
    assert 18 <= size <= 21
    assert 15 * each < taken - free < 25 * each
    cupy = HostCupy(cupy.memory)
    train(build_dense(cupy, 300), draw_pairs(size), batch=size, epochs=1)


def test_where_the_host_has_none_left_it_is_not_said_of_the_gpu(cupy: HostCupy) -> None:
    plan, vector, _ = bind(NETWORKS[1])
    executable = build(cupy, plan)
    small, large = (
        bind_batch(plan.network, draw_fields(size, 20, padded=False), 20, DOUBLE) for size in (80, 90)
    )
    wanted = executable.loss(vector, large)
    executable = build(cupy, plan)
    executable.loss(vector, small)
    gc.collect()
    cupy.pinnable = (
        sum(pin.nbytes for pin in (reference() for reference in cupy.pins) if pin is not None) * 5 // 4
    )
    assert executable.loss(vector, large).tobytes() == wanted.tobytes()
    cupy.pinnable = 2**10
    with pytest.raises(
        DataError, match=r"batch of 80 sequences of 20 steps: what goes .* of the host .* smaller batches"
    ):
        executable.loss(vector, small)


def test_another_try_counts_what_it_takes_once(cupy: HostCupy) -> None:
    counts = []
    for memory in (2**40, 34 * 2**20):
        plan, vector, _ = bind(NETWORKS[1])
        executable = build(cupy, plan)
        cupy.memory = memory
        for steps in (20, 21, 22, 20):
            batch = bind_batch(plan.network, draw_fields(80, steps, padded=False), steps, DOUBLE)
            executable.loss(vector, batch)
        counts.append(executable.bind_batch(batch).count_bytes())
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("most", "share", "shapes", "bound"),
    [(64, 0.25, 12, 12), (64, 0.0, 12, 36), (64, 0.0, 8, 8), (12, 0.25, 12, 12), (11, 0.25, 12, 36)],
)
def test_shapes_are_kept_by_number_and_by_the_memory_of_the_device(
    cupy: HostCupy, monkeypatch: pytest.MonkeyPatch, most: int, share: float, shapes: int, bound: int
) -> None:
    """Of those that come one after the other, three times, all are kept or, since each goes before it comes again,
    none is."""
    monkeypatch.setattr(executable_module, "MOST_SHAPES", most)
    monkeypatch.setattr(executable_module, "KEPT_SHARE", share)
    plan, vector, _ = bind(NETWORKS[0])
    executable = build(cupy, plan)
    plans = []
    for steps in [*range(1, shapes + 1)] * 3:
        batch = bind_batch(plan.network, draw_fields(2, steps, padded=False), steps, DOUBLE)
        executable.loss(vector, batch)
        plans.append(executable.bind_batch(batch))
    assert len(set(map(id, plans))) == bound


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
    updater.fetch(*(np.empty(plan.layout.free, SINGLE) for _ in range(2)))
    updater.fetch_gradient(np.empty(plan.layout.free, SINGLE))
    executable.run(vector, batch)
    pins = [pin for pin in (reference() for reference in cupy.pins) if pin is not None]
    assert len(pins) > 5
    assert [pin.nbytes for pin in pins if id(pin) not in cupy.copied] == []
