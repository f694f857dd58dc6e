"""Derivatives of weights in a network so large that generated functions compute them, on one core and on two."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from agreement import expect
from compiled import NOWHERE, toolchain

from graphbptt.compiler import compile_network
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.layout import draw_parameters
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_native import contraction
from graphbptt_native.contraction import is_worth_a_call
from graphbptt_native.executable import NativeExecutable
from graphbptt_numpy.executable import NumpyExecutable

UNITS, STEPS, BATCH = 70, 60, 60


@pytest.mark.parametrize("cores", [1, 2])
def test_large_networks_agree_with_numpy(cores: int) -> None:
    assert is_worth_a_call(STEPS * BATCH, UNITS, UNITS)
    graph = nx.DiGraph([("x", "h"), ("h", "h"), ("h", "y")])
    graph.add_node("x", units=9)
    graph.add_node("h", units=UNITS, activation="tanh")
    graph.add_node("y", units=33)
    targets = [Target("y", "wanted", at=(3, 4, 20))]
    plan = compile_network(fold_graph(graph, [Clamp("x", "x")], targets))
    rng = np.random.default_rng(0)
    fields = {
        "x": rng.normal(size=(BATCH, STEPS, 9)),
        "wanted": rng.normal(size=(BATCH, STEPS, 33)),
        "lengths": rng.integers(1, STEPS + 1, BATCH),
    }
    batch = bind_batch(plan.network, fields, STEPS, np.float64)
    vector = draw_parameters(plan.network, plan.layout, 0, np.float64)
    kind = np.dtype(np.float64)
    wanted, found = np.zeros((2, plan.layout.free))
    NumpyExecutable(plan, kind).loss_and_gradient(vector, batch, wanted)
    NativeExecutable(plan, kind, toolchain(), NOWHERE, cores).loss_and_gradient(vector, batch, found)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert np.abs(wanted).max() > 1e-3


@pytest.mark.parametrize("units", [40, 3])
def test_states_without_a_derivative_that_overflow_give_no_number(
    units: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zero times infinity, as the reference has it: only step 2 has a target, and later states are infinite."""
    monkeypatch.setattr(contraction, "FEWEST_FLOPS", 0.0)
    graph = nx.DiGraph([("x", "h"), ("h", "h")])
    graph.add_node("x", units=2)
    graph.add_node("h", units=units, bias=False)
    plan = compile_network(fold_graph(graph, [Clamp("x", "x")], [Target("h", "wanted", at=(2,))]))
    fields = {"x": np.ones((1, 600, 2)), "wanted": np.zeros((1, 600, units))}
    batch = bind_batch(plan.network, fields, 600, np.float64)
    vector = np.full(plan.layout.size, 2.0)
    with np.errstate(all="ignore"):
        wanted = expect(plan, vector, batch).gradient
    found = np.zeros(plan.layout.free)
    NativeExecutable(plan, np.dtype(np.float64), toolchain(), NOWHERE, 1).loss_and_gradient(
        vector, batch, found
    )
    assert np.isnan(wanted).any()
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
