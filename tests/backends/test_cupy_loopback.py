"""The cupy backend with NumPy's arrays for those of CuPy and its kernels as C: all but CuPy itself, without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import assert_agreement, assert_close, assert_single_agreement
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from loopback import build
from named_networks import NETWORKS, NOISES, draw_fields, noisy
from strategies import Case, cases
from wide_networks import wide_cases

from graphbptt.compiler import compile_network
from graphbptt.ir.batch import CarriedState
from graphbptt.ir.data import Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.cut_batch import cut_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.reference import run_reference
from graphbptt.reference.forward import gather_history

EXAMPLES = max(10, settings().max_examples // 8)
"""Every network is compiled first, which takes a hundred times as long as to run it."""

SHAPES = ((4, 9, False), (1, 1, False), (3, 12, True), (4, 9, True), (4, 9, False))
"""Batch, steps and whether sequences differ in length; one executable has to take them all, in this order."""


@pytest.mark.parametrize("in_reverse", [False, True])
@settings(max_examples=EXAMPLES)
@given(case=cases())
def test_random_graphs_agree_with_the_reference(in_reverse: bool, case: Case) -> None:
    """Whether threads run in their order or in reverse."""
    plan = compile_network(case.fold())
    executable = build(plan, np.float64, in_reverse)
    vector = case.draw_vector(plan.layout.size)
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    assert_agreement(plan, executable, vector, batch)


@settings(max_examples=EXAMPLES)
@given(case=wide_cases())
def test_wide_networks_agree_with_the_reference(case: Case) -> None:
    plan = compile_network(case.fold())
    vector = 0.3 * case.draw_vector(plan.layout.size)
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    assert_agreement(plan, build(plan, np.float64), vector, batch)


@pytest.mark.parametrize("network", NETWORKS)
def test_named_networks_agree_with_the_reference(network: Callable[[], FoldedNetwork]) -> None:
    plan = compile_network(network())
    double, single = build(plan, np.float64), build(plan, np.float32)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    for seed, (batch, steps, padded) in enumerate(SHAPES):
        fields = draw_fields(batch, steps, padded, seed)
        assert_agreement(plan, double, vector, bind_batch(plan.network, fields, steps, np.float64))
        assert_single_agreement(plan, single, vector, fields, steps)


@settings(max_examples=EXAMPLES)
@given(case=cases(causal=True), data=st.data())
def test_stretches_agree_with_the_reference(case: Case, data: st.DataObject) -> None:
    """From states that were carried to them; what they hold at their end is what the next one begins with."""
    plan = compile_network(case.fold())
    executable = build(plan, np.float64)
    vector = case.draw_vector(plan.layout.size)
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    start = data.draw(st.integers(0, case.steps - 1), "start")
    carried = None
    if start:
        before = run_reference(plan.network, plan.layout, vector, cut_batch(plan.network, batch, 0, start))
        carried = CarriedState(gather_history(before, start), start)
    stretch = cut_batch(plan.network, batch, start, case.steps, start, carried)
    assert_agreement(plan, executable, vector, stretch)
    forward = run_reference(plan.network, plan.layout, vector, stretch)
    largest = max([1.0, *(float(np.abs(state).max(initial=0)) for state in forward.states.values())])
    executable.run(vector, stretch)
    found = executable.history(case.steps - start)
    for node, rows in gather_history(forward, case.steps - start).items():
        assert_close(found[node], rows, largest, f"history of {node}")
    assert_agreement(plan, executable, vector, batch)


@settings(max_examples=EXAMPLES)
@given(case=cases(causal=True))
def test_single_steps_are_the_whole(case: Case) -> None:
    assume("lengths" not in case.fields)
    plan = compile_network(case.fold())
    executable = build(plan, np.float64)
    vector = case.draw_vector(plan.layout.size)
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    whole = {name: np.array(states) for name, states in executable.run(vector, batch).items()}
    stepper = executable.stepper(batch.size)
    for step in range(case.steps):
        carried = CarriedState({}, step) if step else None
        states = stepper.step(vector, cut_batch(plan.network, batch, step, step + 1, carried=carried))
        for name, wanted in whole.items():
            assert_close(states[name], wanted[step], 1.0 + float(np.abs(wanted).max()), name)


def test_noise_is_drawn_in_the_kernels() -> None:
    plan = compile_network(noisy())
    executable = build(plan, np.float64)
    vector = draw_parameters(plan.network, plan.layout, 0, np.float64)
    fields = draw_fields(3, 8, False)
    for noise in NOISES:
        batch = bind_batch(plan.network, fields, 8, np.float64, noise=noise)
        assert_agreement(plan, executable, vector, batch)


@pytest.mark.parametrize("delay", [0, 1])
def test_weights_kept_as_entries(delay: int) -> None:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=40, activation="tanh", initial="learned")
    graph.add_node("y", units=30)
    sparse = {"sparse": {"density": 0.1}, "storage": "csr"}
    graph.add_edge("h", "h", weight=sparse)
    graph.add_edge("h", "y", delay=delay, weight=sparse)
    plan = compile_network(fold_graph(graph, [], [Target("y", "y")]))
    assert plan.blocks
    executable = build(plan, np.float64)
    vector = draw_parameters(plan.network, plan.layout, 0, np.float64)
    batch = bind_batch(plan.network, {"y": np.ones((3, 6, 30))}, 6, np.float64)
    assert_agreement(plan, executable, vector, batch)
