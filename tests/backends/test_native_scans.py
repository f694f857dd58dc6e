"""Scans in C against the reference executor: every operation, on networks everyone knows and on random ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import assert_agreement, expect
from compiled import NOWHERE, toolchain
from hypothesis import given, settings
from hypothesis import strategies as st
from named_networks import NETWORKS, draw_fields
from strategies import Case, cases

from graphbptt.codegen.rows.rows import RowOperation
from graphbptt.compiler import compile_network
from graphbptt.ir.batch import CarriedState
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.operations import Product
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.cut_batch import cut_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_native.executable import NativeExecutable

DOUBLE = np.dtype(np.float64)
SHAPES = ((4, 9, False), (1, 1, False), (3, 12, True), (4, 9, True), (4, 9, False))
"""Batch, steps and whether sequences differ in length; one executable has to take them all, in this order."""


def build(plan: Plan, dtype: Any = DOUBLE, level: str = "-O3") -> NativeExecutable:
    """Compiled with a level of optimization: a low one where there is more to compile than to run."""
    here = toolchain()
    flags = tuple(level if flag == "-O3" else flag for flag in here.flags)
    return NativeExecutable(plan, np.dtype(dtype), replace(here, flags=flags), NOWHERE)


def everything() -> FoldedNetwork:
    """A component with every operation in its loops, whose populations are at different steps."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=3)
    graph.add_node("a", units=3, activation="tanh", noise=0.3)
    graph.add_node("b", units=4, activation="softmax", initial="learned")
    graph.add_node(
        "c", units=3, activation="(1 - rate / size) * c[t-1] + rate / size * tanh(net) * a",
        coefficients={"rate": [0.3, 0.2, 0.1], "size": {"init": 2.0}},
    )  # fmt: skip
    graph.add_edge("x", "a", delay=0)
    graph.add_edge("a", "b")
    graph.add_edge("b", "a")
    graph.add_edge("c", "a", delay=2)
    graph.add_edge("a", "c", delay=-1)
    clamps = [Clamp("x", "x"), Clamp("b", "b", units=(1,), at=(2, 3))]
    return fold_graph(graph, clamps, [Target("c", "c"), Target("b", "p")])


def noisy() -> FoldedNetwork:
    """Noise inside a loop, which no product precedes."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=3, activation="logistic", noise=0.5)
    graph.add_edge("h", "h")
    return fold_graph(graph, [], [Target("h", "c")])


OWN = (everything, noisy)


def draw_all(batch: int, steps: int, padded: bool, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    own = {"b": random.normal(size=(batch, steps, 1)), "p": random.uniform(size=(batch, steps, 4))}
    own["c"] = random.normal(size=(batch, steps, 3))
    return draw_fields(batch, steps, padded, seed) | own


@pytest.mark.parametrize("network", [*NETWORKS, *OWN])
def test_agrees_with_the_reference(network: Callable[[], FoldedNetwork]) -> None:
    plan = compile_network(network())
    executable = build(plan)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    for seed, shape in enumerate(SHAPES):
        fields = {name: field for name, field in draw_all(*shape, seed).items() if name in reads(plan)}
        assert_agreement(plan, executable, vector, bind_batch(plan.network, fields, shape[1], np.float64))


def reads(plan: Plan) -> set[str]:
    network = plan.network
    data = (*network.clamps, *network.targets)
    return {"lengths", *(item.field for item in data), *(item.mask for item in data if item.mask)}


def test_every_operation_occurs() -> None:
    """Here, so that the tests above say something of each."""
    kinds: set[type] = set()
    for network in OWN:
        plan = compile_network(network())
        scans = build(plan)._program.scans
        for scan in scans.values():
            kinds |= {type(operation) for operation in scan.sweep.operations()}
    assert kinds == {*RowOperation.__args__, Product}


@settings(max_examples=20)
@given(case=cases())
def test_random_graphs_agree_with_the_reference(case: Case) -> None:
    plan = compile_network(case.fold())
    vector = case.draw_vector(plan.layout.size)
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    assert_agreement(plan, build(plan, level="-O1"), vector, batch)


@settings(max_examples=8)
@given(case=cases(causal=True), data=st.data())
def test_pieces_are_the_whole_to_the_last_bit(case: Case, data: st.DataObject) -> None:
    plan = compile_network(case.fold())
    executable, vector = build(plan, level="-O1"), case.draw_vector(plan.layout.size)
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    ends = np.full(batch.size, batch.steps) if batch.lengths is None else batch.lengths
    real = np.arange(batch.steps)[:, None] < ends
    whole = {node: np.array(states) for node, states in executable.run(vector, batch).items()}
    length = data.draw(st.integers(1, case.steps), "length")
    carried: CarriedState | None = None
    for start in range(0, case.steps, length):
        stop = min(start + length, case.steps)
        piece = cut_batch(plan.network, batch, start, stop, carried=carried)
        for node, states in executable.run(vector, piece).items():
            now = real[start:stop]
            assert np.array_equal(states[now], whole[node][start:stop][now], equal_nan=True)
        carried = CarriedState(executable.history(stop - start), stop)


@pytest.mark.parametrize("network", [*NETWORKS, *OWN])
def test_single_precision(network: Callable[[], FoldedNetwork]) -> None:
    plan = compile_network(network())
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    fields = {name: field for name, field in draw_all(3, 12, True, 0).items() if name in reads(plan)}
    expected = expect(plan, vector, bind_batch(plan.network, fields, 12, np.float64))
    batch = bind_batch(plan.network, fields, 12, np.float32)
    executable, single = build(plan, np.float32), vector.astype(np.float32)
    gradient = np.zeros(plan.layout.free, np.float32)
    losses = executable.loss_and_gradient(single, batch, gradient)
    np.testing.assert_allclose(losses, expected.losses, rtol=1e-5)
    largest = np.abs(expected.gradient).max()
    np.testing.assert_allclose(gradient, expected.gradient, rtol=0, atol=1e-5 * largest)
    for node, states in executable.run(single, batch).items():
        assert states.dtype == np.float32
        np.testing.assert_allclose(states, expected.states[node], atol=1e-5)


def test_single_steps_are_those_of_a_run() -> None:
    plan = compile_network(NETWORKS[1]())
    executable = build(plan)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    fields = {"x": draw_fields(3, 6, False)["x"]}
    batch = bind_batch(plan.network, fields, 6, np.float64, targets=False)
    whole = {node: np.array(states) for node, states in executable.run(vector, batch).items()}
    stepper = executable.stepper(3)
    for step in range(6):
        carried = CarriedState({}, step) if step else None
        piece = cut_batch(plan.network, batch, step, step + 1, carried=carried)
        for node, states in stepper.step(vector, piece).items():
            np.testing.assert_array_equal(states, whole[node][step])


def test_not_a_number_is_seen() -> None:
    """A state that is no number any more stays so, whatever the compiler makes of comparisons."""
    plan = compile_network(NETWORKS[0]())
    executable = build(plan, np.float32)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float32)
    fields = {name: field for name, field in draw_fields(2, 6, False).items() if name in ("x", "y")}
    fields["x"][1, 2] = 1e30, 0, 0  # infinite net inputs, against which nothing else is
    vector[...] *= np.float32(1e20)
    states = executable.run(vector, bind_batch(plan.network, fields, 6, np.float32))
    assert np.isfinite(states["h"]).all()
    vector[0] = np.nan
    states = executable.run(vector, bind_batch(plan.network, fields, 6, np.float32))
    assert np.isnan(states["y"]).all()
