"""The cupy backend with its CUDA text as it stands, run by threads of the host: against the reference, in several
orders of threads and blocks, which have the same bits, and beside C, which has them too where sums have one order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import assert_agreement
from device_checks import (
    SHAPES,
    check_case,
    check_entries,
    check_many_entries,
    check_network,
    check_single_steps,
    check_starts,
    check_stretch,
)
from host_cuda import LAST_TO_FIRST, ORDERS, HostCudaDevice, build_cuda
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import VerifiedExecutable, build
from named_networks import NETWORKS, NOISES, draw_fields, noisy
from persistent_checks import check_cell, list_persistent
from strategies import Case, cases
from updating import OPTIMIZERS, assert_same_course, train_both
from wide_networks import wide_cases

import graphbptt
from graphbptt.codegen.kernels.loss_kernels import FEW as FEW_UNITS
from graphbptt.codegen.launches.commands import Launch
from graphbptt.codegen.launches.launch_plan import LaunchShape
from graphbptt.codegen.persistent.device_limits import DEVICES, DeviceLimits
from graphbptt.codegen.persistent.write_persistent import NO_PERSISTENT
from graphbptt.codegen.schedules import entry_launches
from graphbptt.codegen.schedules.edge_launches import ONCE
from graphbptt.compiler import compile_network
from graphbptt.declaration.cells.table import SHIPPED
from graphbptt.ir.batch import Batch
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_cupy.executable import DeviceExecutable

EXAMPLES = max(10, settings().max_examples // 8)
"""Every network is compiled first, which takes a hundred times as long as to run it."""

ALONE = replace(DEVICES["sm_90"], resident_blocks=1)
"""A GPU whose multiprocessors run one block at a time: where several share one, each has fewer examples."""

ONE, FEW, MANY = (replace(ALONE, multiprocessors=number) for number in (1, 3, 64))
"""GPUs on which a block has as many examples as it can, some, and one; with none, scans are launched step by step."""


def name_limits(limits: DeviceLimits | None) -> str:
    return f"{limits.multiprocessors} multiprocessors" if limits else "launched"


def check_bits(plan: Plan, vector: np.ndarray, batch: Batch, limits: DeviceLimits | None = None) -> None:
    """All that is computed is the same in every order of threads and blocks, and in C."""
    device = HostCudaDevice(limits=limits)
    executable = VerifiedExecutable(plan, vector.dtype, device)
    first = compute_bits(executable, vector, batch)
    for order in ORDERS:
        device.order = order
        assert compute_bits(executable, vector, batch) == first
    if "JOIN_LANES" not in executable._kernels.text:  # lanes add up in an order of their own
        assert compute_bits(build(plan, vector.dtype, limits=limits), vector, batch) == first


def compute_bits(executable: DeviceExecutable, vector: np.ndarray, batch: Batch) -> dict[str, bytes]:
    states = {name: states.tobytes() for name, states in executable.run(vector, batch).items()}
    gradient = np.full(executable._plan.layout.free, np.nan, vector.dtype)
    losses = np.asarray(executable.loss_and_gradient(vector, batch, gradient))
    return {**states, "losses": losses.tobytes(), "gradient": gradient.tobytes()}


@pytest.mark.parametrize("limits", [None, ONE, MANY], ids=name_limits)
@settings(max_examples=EXAMPLES)
@given(case=cases())
def test_random_graphs_agree_with_the_reference_and_with_c(case: Case, limits: DeviceLimits | None) -> None:
    plan = compile_network(case.fold())
    vector = case.draw_vector(plan.layout.size)
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    assert_agreement(plan, build_cuda(plan, np.float64, limits=limits), vector, batch)
    check_bits(plan, vector, batch, limits)


@settings(max_examples=EXAMPLES)
@given(case=wide_cases(), limits=st.sampled_from([None, ONE]))
def test_wide_networks_agree_with_the_reference(case: Case, limits: DeviceLimits | None) -> None:
    check_case(partial(build_cuda, order=LAST_TO_FIRST, limits=limits), case, scale=0.3)


@pytest.mark.parametrize("limits", [None, ONE], ids=name_limits)
@pytest.mark.parametrize("network", NETWORKS)
def test_named_networks_agree_with_the_reference_and_with_c(
    network: Callable[[], FoldedNetwork], limits: DeviceLimits | None
) -> None:
    """Sequences that differ in length included."""
    check_network(partial(build_cuda, limits=limits), network)
    plan, (size, steps, padded) = compile_network(network()), SHAPES[2]
    for dtype in (np.float32, np.float64):
        vector = draw_parameters(plan.network, plan.layout, 1, dtype)
        batch = bind_batch(plan.network, draw_fields(size, steps, padded), steps, dtype)
        check_bits(plan, vector, batch, limits)


@settings(max_examples=EXAMPLES)
@given(case=cases(causal=True), data=st.data())
def test_stretches_agree_with_the_reference(case: Case, data: st.DataObject) -> None:
    check_stretch(build_cuda, case, data)


@settings(max_examples=EXAMPLES)
@given(case=cases(causal=True))
def test_single_steps_are_the_whole(case: Case) -> None:
    check_single_steps(build_cuda, case)


@pytest.mark.parametrize("delay", [0, 1])
def test_weights_kept_as_entries(delay: int) -> None:
    check_entries(build_cuda, delay)


@pytest.mark.parametrize("kind", [build, build_cuda])
def test_many_weights_kept_as_entries(kind: Any) -> None:
    check_many_entries(kind)


@pytest.mark.parametrize("kind", [build, build_cuda])
@pytest.mark.parametrize(("size", "steps", "room"), [(1, 5, 2**22), (5, 9, 2**22), (37, 4, 1), (5, 9, 4000)])
def test_weights_kept_as_entries_of_many_units(
    size: int, steps: int, room: int, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """States are turned, all at once, or some rows at a time; those of a single row are turned as they are."""
    monkeypatch.setattr(entry_launches, "WORTH", 1)
    monkeypatch.setattr(entry_launches, "ROOM", room)
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=13)
    graph.add_node("h", units=45, activation="tanh", initial="learned")
    graph.add_node("y", units=7)
    sparse = {"sparse": {"density": 0.2}, "storage": "csr"}
    for source, target, delay in (("x", "h", 0), ("h", "h", 1), ("h", "h", 2), ("h", "y", 0)):
        graph.add_edge(source, target, delay=delay, weight=sparse)
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    plan = graphbptt.compile(graph, inputs, targets, "numpy", "float64", seed=1).plan
    random = np.random.default_rng(0)
    fields = {"x": random.normal(size=(size, steps, 13)), "y": random.normal(size=(size, steps, 7))}
    fields["lengths"] = random.integers(1, steps + 1, size)
    batch = bind_batch(plan.network, fields, steps, np.float64)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    executable = kind(plan, np.float64)
    assert_agreement(plan, executable, vector, batch)
    launches = executable._schedule(LaunchShape(steps, size), NO_PERSISTENT).commands()
    assert "turn_rows" in [launch.kernel for launch in launches if isinstance(launch, Launch)]
    if kind is build_cuda:
        check_bits(plan, vector, batch)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, ONCE, ONCE + 1, 40])
def test_starts_of_small_batches_and_of_large_ones(size: int, order: int) -> None:
    """Added up at once, and in parts."""
    check_starts(partial(build_cuda, order=order), size)


def test_noise_is_drawn_in_the_kernels() -> None:
    """The numbers of C to the last bit, in both precisions, and those of the reference."""
    plan = compile_network(noisy())
    for noise in NOISES:
        for dtype in (np.float32, np.float64):
            vector = draw_parameters(plan.network, plan.layout, 0, dtype)
            batch = bind_batch(plan.network, draw_fields(3, 8, False), 8, dtype, noise=noise)
            check_bits(plan, vector, batch)
        assert_agreement(plan, build_cuda(plan, np.float64), vector, batch)


def softmax_plan(units: int, loss: str) -> Plan:
    """Units of which one wins, at each step and in a loop, and another node that reads them all."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=3)
    graph.add_node("p", units=units, activation="softmax", initial="learned")
    graph.add_node("y", units=2)
    graph.add_edge("x", "p", delay=0)
    graph.add_edge("p", "p", weight="one_to_one", init={"normal": {"std": 3.0}})
    graph.add_edge("p", "y", delay=0)
    targets = [graphbptt.Target("p", "label", loss), graphbptt.Target("y", "y")]
    model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], targets, "numpy", "float64", seed=1)
    return model.plan


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("units", [2, 31, 32, 33, 64, 75])
@pytest.mark.parametrize("limits", [None, ONE, FEW, MANY], ids=name_limits)
def test_softmax_and_cross_entropy_of_any_width(limits: DeviceLimits | None, units: int, order: int) -> None:
    """Narrower than a warp has lanes, as wide, and wider; launched, and in persistent kernels, where the last of the
    blocks of several examples has a single one."""
    plan, random = softmax_plan(units, "cross_entropy"), np.random.default_rng(units)
    executable = build_cuda(plan, np.float64, order, limits)
    persistent = executable._write_persistent(LaunchShape(4, 9)).text
    for text in (executable._kernels.text, persistent) if limits else (executable._kernels.text,):
        assert "JOIN_LANES(sum" in text
    fields = {
        "x": random.normal(size=(9, 4, 3)),
        "y": random.normal(size=(9, 4, 2)),
        "label": random.integers(0, units, (9, 4)),
        "lengths": random.integers(1, 5, 9),
    }
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    assert_agreement(plan, executable, vector, bind_batch(plan.network, fields, 4, np.float64))


@pytest.mark.parametrize("at", ["every", "last"])
@pytest.mark.parametrize("some", [False, True], ids=["all units", "some units"])
@pytest.mark.parametrize("units", [FEW_UNITS, FEW_UNITS + 1, 33, 75])
@pytest.mark.parametrize("forced", [False, True], ids=["logits", "probabilities"])
def test_labels_among_few_units_and_many(forced: bool, units: int, some: bool, at: str) -> None:
    """One thread has the units of a row, or lanes share them; in a row that does not count, all have nothing to do."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=3)
    graph.add_node("p", units=units, activation="softmax")
    graph.add_edge("x", "p", delay=0, init={"normal": {"std": 3.0}})
    chosen = tuple(range(units - 1, -1, -2)) if some else None
    targets = [
        graphbptt.Target("p", "label", "cross_entropy", units=chosen, at=at, mask="counts", weight=0.7)
    ]
    inputs = [graphbptt.Clamp("x", "x"), *([graphbptt.Clamp("p", "set", mask="where")] if forced else [])]
    plan = graphbptt.compile(graph, inputs, targets, "numpy", "float64", seed=1).plan
    random, labels = np.random.default_rng(units), units if chosen is None else len(chosen)
    fields = {
        "x": random.normal(size=(7, 4, 3)),
        "label": random.integers(0, labels, (7, 4)),
        "counts": random.integers(0, 2, (7, 4)),
        "lengths": random.integers(1, 5, 7),
        "set": random.dirichlet(np.ones(units), (7, 4)),
        "where": random.integers(0, 2, (7, 4)),
    }
    batch = bind_batch(plan.network, fields, 4, np.float64)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    for kind in (build, build_cuda):
        assert_agreement(plan, kind(plan, np.float64), vector, batch)
    check_bits(plan, vector, batch)
    (loss,) = build_cuda(plan, np.float64)._kernels.losses
    assert (loss.per_row > 1) == (labels > FEW_UNITS)


@pytest.mark.parametrize("units", [5, 40])
@pytest.mark.parametrize("size", [1, 700])
def test_losses_of_several_blocks(size: int, units: int) -> None:
    """One that units share out, and one of each example, of threads or of warps: there, sums of more than a block."""
    plan = softmax_plan(units, "cross_entropy")
    random = np.random.default_rng(0)
    fields = {
        "x": random.normal(size=(size, 3, 3)),
        "y": random.normal(size=(size, 3, 2)),
        "label": random.integers(0, units, (size, 3)),
    }
    batch = bind_batch(plan.network, fields, 3, np.float64)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    assert_agreement(plan, build_cuda(plan, np.float64), vector, batch)
    check_bits(plan, vector, batch)


CELLS: dict[str, Any] = {
    "rnn": "rnn",
    "lstm": "lstm",
    "lstm with peepholes": {"lstm": {"peepholes": True}},
    "gru": {"gru": {"reset": "before"}},
    "gru reset after": {"gru": {"reset": "after"}},
    "leaky": {"leaky": {"tau": 4.0}},
    "clockwork": {"clockwork": {"periods": [1, 3]}},
}


def test_every_shipped_cell_is_here() -> None:
    assert CELLS.keys() >= SHIPPED.keys()


@pytest.mark.parametrize("limits", [ONE, FEW, MANY], ids=name_limits)
@pytest.mark.parametrize("name", CELLS)
def test_cells_as_persistent_kernels(name: str, limits: DeviceLimits) -> None:
    """Eight examples to a block, four, or one: of 11, the last block is not always full."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=3)
    graph.add_node("h", units=20, cell=CELLS[name], initial="learned")
    graph.add_node("y", units=2)
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "y", delay=0)
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    plan = graphbptt.compile(graph, inputs, targets, "numpy", "float64").plan
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    executable = build_cuda(plan, np.float64, limits=limits)
    assert len(list_persistent(executable, 7, 11)) >= 2
    batch = bind_batch(plan.network, draw_fields(11, 7, True), 7, np.float64)
    assert_agreement(plan, executable, vector, batch)
    check_bits(plan, vector, batch, limits)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_cells_whose_weights_are_partly_in_registers(kind: str, order: int) -> None:
    """Each thread has its own, from one barrier to another."""
    whole = max(launch.shared for launch in check_cell(partial(build_cuda, limits=FEW), kind, 48, 5, 11))
    less = replace(FEW, shared=whole * 9 // 10)
    for launch in check_cell(partial(build_cuda, order=order, limits=less), kind, 48, 5, 11):
        assert launch.shared <= less.shared


@pytest.mark.parametrize("optimizer", [{"sgd": {"rate": 0.1}}, *OPTIMIZERS], ids=str)
def test_updates_are_those_of_the_host_and_of_c(optimizer: dict[str, Any]) -> None:
    """With penalties on parameters, gradients that are shrunk, and noise."""
    settings: dict[str, Any] = {"optimizer": optimizer, "epochs": 2, "clip": 0.5, "penalty": True}
    vectors = []
    for kind in (*(partial(build_cuda, order=order) for order in ORDERS), build):
        models, histories = train_both(kind, **settings)
        assert_same_course(models, histories)
        vectors.append(models[1].vector.tobytes())
    assert len(set(vectors)) == 1


BARRIER = re.compile(r"\n *BARRIER\n")


class Planted(HostCudaDevice):
    """Lacks one barrier of the persistent kernels, in the order of their text."""

    def __init__(self, number: int, order: int) -> None:
        super().__init__(order, FEW)
        self.number = number

    def load(self, text: str) -> Any:
        barriers = list(BARRIER.finditer(text))
        if barriers:
            lacking = barriers[self.number]
            text = f"{text[: lacking.start()]}\n{text[lacking.end() :]}"
        return super().load(text)


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        pytest.param("rnn", 1, id="staged states before their product"),
        pytest.param("gru", 2, id="a product before gates read it"),
        pytest.param("rnn", 3, id="states before they are staged"),
        pytest.param("rnn", 6, id="staged derivatives before their product"),
        pytest.param("gru", 7, id="a product before derivatives of gates read it"),
    ],
)
def test_a_missing_barrier_of_a_persistent_kernel_is_seen(kind: str, number: int) -> None:
    """Others have none beside them that needs them, where each thread goes on with what it wrote itself."""

    def is_seen(order: int) -> bool:
        try:
            check_cell(lambda plan, dtype: plant(plan, dtype, number, order), kind, 48, 5, 11)
        except AssertionError:
            return True
        return False

    assert any(is_seen(order) for order in ORDERS)


def plant(plan: Plan, dtype: Any, number: int, order: int) -> DeviceExecutable:
    return DeviceExecutable(plan, np.dtype(dtype), Planted(number, order))
