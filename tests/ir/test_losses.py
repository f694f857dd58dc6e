"""The losses: values by hand, slopes by differences, and the pairs of loss and activation."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from agreement import assert_agreement

import graphbptt
from graphbptt.backend import find_backend
from graphbptt.compiler import compile_network
from graphbptt.errors import DataError, SpecError
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.losses import LOSSES, resolve_loss
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph


def measure(loss: str, predicted: list[float], wanted: list[float]) -> tuple[float, list[float]]:
    value, slope = LOSSES[loss].measure(np.array([[predicted]]), np.array([[wanted]]))
    return float(value[0, 0]), slope[0, 0].tolist()


def test_poisson() -> None:
    value, slope = measure("poisson", [2.0, 3.0], [1.0, 0.0])
    assert value == pytest.approx(2 - np.log(2) + 3)
    assert slope == [0.5, 1.0]


def test_a_rate_of_zero_is_finite_and_may_be_wanted() -> None:
    value, slope = measure("poisson", [0.0, 0.0], [0.0, 2.0])
    assert np.isfinite(value)
    assert slope == [1.0, 1.0]


def test_huber() -> None:
    value, slope = measure("huber", [0.5, 3.0, -2.0], [0.0, 0.0, 0.0])
    assert value == pytest.approx(0.125 + 2.5 + 1.5)
    assert slope == [0.5, 1.0, -1.0]


def declare(activation: str) -> nx.DiGraph[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", units=2)
    graph.add_node("y", units=3, activation=activation)
    graph.add_edge("x", "y", delay=0)
    graph.add_edge("y", "y", init={"normal": {"std": 0.1}})
    return graph


@pytest.mark.parametrize(("activation", "read"), [("exp", "net"), ("softplus", "state")])
def test_poisson_with_its_activation_is_taken_on_the_net_input(activation: str, read: str) -> None:
    network = fold_graph(declare(activation), [Clamp("x", "x")], [Target("y", "counts", "poisson")])
    assert resolve_loss(network, network.targets[0])[1] == read
    plan = compile_network(network)
    rng = np.random.default_rng(0)
    fields = {"x": rng.normal(size=(4, 5, 2)), "counts": rng.poisson(2.0, (4, 5, 3))}
    vector = rng.normal(0, 0.3, plan.layout.size)
    executable = find_backend("numpy").build(plan, np.dtype(np.float64))
    assert_agreement(plan, executable, vector, bind_batch(network, fields, None, np.float64))
    model = graphbptt.compile(declare(activation), [Clamp("x", "x")], network.targets, "numpy", "float64")
    assert graphbptt.check_gradients(model, fields).error < 1e-6


def test_rates_and_counts_are_not_negative() -> None:
    with pytest.raises(SpecError, match="poisson is defined for states from 0 to inf"):
        graphbptt.compile(declare("tanh"), [Clamp("x", "x")], [Target("y", "counts", "poisson")])
    model = graphbptt.compile(declare("exp"), [Clamp("x", "x")], [Target("y", "counts", "poisson")], "numpy")
    with pytest.raises(DataError, match="poisson takes values from 0 to inf"):
        model.loss_and_gradients({"x": np.zeros((1, 2, 2)), "counts": -np.ones((1, 2, 3))})
