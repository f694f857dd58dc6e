"""Derivatives of weights in a network so large that generated functions compute them, on one core and on two."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from compiled import NOWHERE, toolchain

from graphbptt.compiler import compile_network
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.layout import draw_parameters
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph
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
