"""What a plan on a device has to compute, whatever the device: all of it beside the reference.

`build` makes a plan ready to run in a precision, as `graphbptt_cupy.executable.DeviceExecutable` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
from agreement import assert_agreement, assert_close, assert_single_agreement
from hypothesis import assume
from hypothesis import strategies as st
from named_networks import draw_fields
from strategies import Case

from graphbptt.compiler import compile_network
from graphbptt.ir.batch import CarriedState
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.noise import Noise
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.cut_batch import cut_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.reference import run_reference
from graphbptt.reference.forward import gather_history
from graphbptt_cupy.executable import DeviceExecutable

__all__ = [
    "SHAPES",
    "Build",
    "check_case",
    "check_entries",
    "check_many_entries",
    "check_network",
    "check_noise",
    "check_single_steps",
    "check_starts",
    "check_stretch",
]

Build = Callable[[Plan, Any], DeviceExecutable]

SHAPES = ((4, 9, False), (1, 1, False), (3, 12, True), (4, 9, True), (4, 9, False))
"""Batch, steps and whether sequences differ in length; one executable has to take them all, in this order."""


def check_case(build: Build, case: Case, scale: float = 1.0) -> None:
    """A random graph."""
    plan = compile_network(case.fold())
    vector = scale * case.draw_vector(plan.layout.size)
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    assert_agreement(plan, build(plan, np.float64), vector, batch)


def check_network(build: Build, network: Callable[[], FoldedNetwork]) -> None:
    """One of the named networks, in all shapes and in both precisions."""
    plan = compile_network(network())
    double, single = build(plan, np.float64), build(plan, np.float32)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    for seed, (batch, steps, padded) in enumerate(SHAPES):
        fields = draw_fields(batch, steps, padded, seed)
        assert_agreement(plan, double, vector, bind_batch(plan.network, fields, steps, np.float64))
        assert_single_agreement(plan, single, vector, fields, steps)


def check_stretch(build: Build, case: Case, data: st.DataObject) -> None:
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


def check_single_steps(build: Build, case: Case) -> None:
    """Steps one by one are those of the whole."""
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


def check_noise(build: Build) -> None:
    """Noise is drawn in the kernels."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=5, activation="tanh", noise=0.5)
    graph.add_node("y", units=2, noise=0.1)
    graph.add_edge("h", "h")
    graph.add_edge("h", "y", delay=0)
    plan = compile_network(fold_graph(graph, [], [Target("y", "y")]))
    executable = build(plan, np.float64)
    vector = draw_parameters(plan.network, plan.layout, 0, np.float64)
    for noise in (Noise(1), None, Noise(2, example=3)):
        batch = bind_batch(plan.network, {"y": np.ones((3, 8, 2))}, 8, np.float64, noise=noise)
        assert_agreement(plan, executable, vector, batch)


def check_entries(build: Build, delay: int) -> None:
    """Weights are kept as entries."""
    check_sparse(build, delay, units=40, density=0.1, size=3)


def check_many_entries(build: Build) -> None:
    """So many that states are turned before they are multiplied, at each step and over all of them."""
    check_sparse(build, 0, units=300, density=0.3, size=40)


def check_sparse(build: Build, delay: int, units: int, density: float, size: int) -> None:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=units, activation="tanh", initial="learned")
    graph.add_node("y", units=30)
    sparse = {"sparse": {"density": density}, "storage": "csr"}
    graph.add_edge("h", "h", weight=sparse)
    graph.add_edge("h", "y", delay=delay, weight=sparse)
    plan = compile_network(fold_graph(graph, [], [Target("y", "y")]))
    assert plan.blocks
    executable = build(plan, np.float64)
    vector = draw_parameters(plan.network, plan.layout, 0, np.float64)
    batch = bind_batch(plan.network, {"y": np.ones((size, 6, 30))}, 6, np.float64)
    assert_agreement(plan, executable, vector, batch)


def check_starts(build: Build, size: int) -> None:
    """Learned initial states in front of step 1 and behind the ends of sequences, of which clamps set some."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for name, units in (("h", 6), ("g", 5)):
        graph.add_node(name, units=units, activation="tanh", initial="learned")
    graph.add_node("y", units=2)
    for source, target, delay in (
        ("h", "h", 1),
        ("h", "h", 3),
        ("g", "g", -2),
        ("h", "y", 1),
        ("g", "y", -1),
    ):
        graph.add_edge(source, target, delay=delay)
    clamps = [Clamp("h", "start", units=(1, 4), at="start", mask="where")]
    plan = compile_network(fold_graph(graph, clamps, [Target("y", "y")]))
    executable, random = build(plan, np.float64), np.random.default_rng(size)
    vector = draw_parameters(plan.network, plan.layout, 0, np.float64)
    fields = {
        "y": random.normal(size=(size, 5, 2)),
        "start": random.normal(size=(size, 3, 2)),
        "where": random.integers(0, 2, (size, 3, 2)),
    }
    for given in (fields, fields | {"lengths": random.integers(1, 6, size)}):
        assert_agreement(plan, executable, vector, bind_batch(plan.network, given, 5, np.float64))
