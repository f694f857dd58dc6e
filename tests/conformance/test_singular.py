"""Activations whose slope is infinite somewhere: where no derivative arrives, none is passed on."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from agreement import assert_agreement

from graphbptt.backend import find_backend
from graphbptt.compiler import compile_network
from graphbptt.ir.data import Clamp, Target
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph


@pytest.mark.parametrize("activation", ["sqrt(net)", "net ** 0.5"])
def test_an_infinite_slope_without_a_derivative_passes_nothing(activation: str) -> None:
    """The input of step 1 is 0, where the root has no slope; only step 2 has a target."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", units=1)
    graph.add_node("h", units=1, activation=activation, bias=False)
    graph.add_node("y", units=1)
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "y", delay=0)
    network = fold_graph(graph, [Clamp("x", "x")], [Target("y", "y", at=(2,))])
    plan = compile_network(network)
    executable = find_backend("numpy").build(plan, np.dtype(np.float64))
    fields = {"x": np.array([[[0.0], [2.0]]]), "y": np.zeros((1, 2, 1))}
    vector = np.linspace(0.5, 1, plan.layout.size)
    assert_agreement(plan, executable, vector, bind_batch(network, fields, None, np.float64))
