"""Networks whose net inputs are multiplied by zero at many steps: the same states and derivatives as the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import assert_agreement
from compiled import NOWHERE, toolchain
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import draw, stage_of

import graphbptt
from graphbptt.codegen.products.guards import find_guards
from graphbptt.compiler import compile_network
from graphbptt.ir.batch import CarriedState
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.cut_batch import cut_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_native.executable import NativeExecutable

DOUBLE = np.dtype(np.float64)
ACTIVATIONS = (
    "gate * tanh(net)",
    "gate * tanh(net) + (1 - gate) * h[t-1]",
    "-gate * (net * h[t-1])",
    "gate[t-1] * relu(net) + 0.5 * h[t-2]",
    "h[t-1] + gate * sin(net) * exp(-net * net)",
)


def build(plan: Plan) -> NativeExecutable:
    return NativeExecutable(plan, DOUBLE, toolchain(), NOWHERE)


def draw_gate(random: np.random.Generator, examples: int, steps: int, units: int) -> np.ndarray:
    """Zeros for stretches of examples, at some steps for all of them, for stretches of units."""
    some = (
        random.integers(0, 2, (-(-examples // 4), steps, -(-units // 9))).repeat(4, axis=0).repeat(9, axis=2)
    )
    return (
        some[:examples, :, :units] * random.normal(size=(1, steps, 1)) * random.integers(0, 2, (1, steps, 1))
    )


def clockwork(units: int, periods: Sequence[int]) -> Plan:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", units=3)
    graph.add_node("h", units=units, cell={"clockwork": {"periods": list(periods)}}, initial="learned")
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "y", delay=0)
    return compile_network(fold_graph(graph, [Clamp("x", "x")], [Target("y", "y")]))


@settings(max_examples=10)
@given(
    activation=st.sampled_from(ACTIVATIONS),
    units=st.integers(1, 40),
    examples=st.integers(1, 15),
    steps=st.integers(1, 5),
    ragged=st.booleans(),
    noisy=st.booleans(),
    seed=st.integers(0, 99),
)
def test_gates_that_are_given(
    activation: str, units: int, examples: int, steps: int, ragged: bool, noisy: bool, seed: int
) -> None:
    hidden: dict[str, Any] = {"units": units, "activation": activation, "initial": "learned"}
    nodes = {"x": {"units": 3}, "gate": {"units": units}, "h": hidden | ({"noise": 0.1} if noisy else {})}
    plan = compile_network(
        draw(nodes, ("x", "h", 0), ("h", "h", 1), ("h", "h", 2), clamps=["x", "gate"], targets=["h"])
    )
    assert find_guards(plan, stage_of(plan, "h"))
    random = np.random.default_rng(seed)
    fields = {
        "x": random.normal(size=(examples, steps, 3)),
        "gate": draw_gate(random, examples, steps, units),
        "h": random.normal(size=(examples, steps, units)),
    }
    if ragged:
        fields["lengths"] = random.integers(1, steps + 1, examples)
    vector = draw_parameters(plan.network, plan.layout, seed, np.float64)
    assert_agreement(plan, build(plan), vector, bind_batch(plan.network, fields, steps, np.float64))


@pytest.mark.parametrize(("units", "periods"), [(9, (1, 2, 3)), (150, (1, 3, 5)), (136, (2, 4))], ids=str)
def test_clockwork_modules_that_do_not_align_with_panels(units: int, periods: tuple[int, ...]) -> None:
    plan = clockwork(units, periods)
    assert find_guards(plan, stage_of(plan, "h"))
    executable = build(plan)
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    random = np.random.default_rng(units)
    for lengths in (None, random.integers(1, 14, 8)):
        fields = {"x": random.normal(size=(8, 13, 3)), "y": random.normal(size=(8, 13, 1))}
        if lengths is not None:
            fields["lengths"] = lengths
        assert_agreement(plan, executable, vector, bind_batch(plan.network, fields, 13, np.float64))


def test_clocks_that_differ_between_examples() -> None:
    """Examples that go on from states of different ages act at different steps; each is as it is alone."""
    plan = clockwork(30, (1, 2, 5))
    executable = build(plan)
    vector = draw_parameters(plan.network, plan.layout, 2, np.float64)
    random = np.random.default_rng(3)
    fields = {"x": random.normal(size=(14, 12, 3)), "y": random.normal(size=(14, 12, 1))}
    batch = bind_batch(plan.network, fields, 12, np.float64)
    first = cut_batch(plan.network, batch, 0, 5)
    executable.run(vector, first)
    ages = random.integers(0, 6, 14)
    history = {
        node: np.stack(
            [executable.history(age)[node][:, example] for example, age in enumerate(ages)], axis=1
        )
        for node in executable.history(0)
    }
    rest = cut_batch(plan.network, batch, 5, 12, carried=CarriedState(history, 5))
    assert_agreement(plan, executable, vector, rest)


def test_what_is_multiplied_by_zero_is_not_computed() -> None:
    """Where the gate is zero for all examples nothing is seen of a weight that is not a number, elsewhere it is."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", units=2)
    graph.add_node("gate", units=3)
    graph.add_node("h", units=3, activation="gate * tanh(net) + (1 - gate) * h[t-1]")
    graph.add_edge("x", "h", delay=0)
    inputs = [graphbptt.Clamp("x", "x"), graphbptt.Clamp("gate", "gate")]
    plan = compile_network(fold_graph(graph, inputs, [graphbptt.Target("h", "h")]))
    vector = np.full(plan.layout.size, np.nan)
    gate = np.zeros((2, 4, 3))
    gate[:, 2:] = 1
    fields = {"x": np.ones((2, 4, 2)), "gate": gate, "h": np.zeros((2, 4, 3))}
    states = build(plan).run(vector, bind_batch(plan.network, fields, 4, np.float64))["h"]
    np.testing.assert_array_equal(np.isnan(states), np.arange(4)[:, None, None] >= np.full((1, 2, 3), 2))
