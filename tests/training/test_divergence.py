"""What is said of numbers that are not finite: what they were computed from, and what would help."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.errors import DivergenceError
from graphbptt.training.divergence import OPTIMIZER, SLOPE, START, explain_divergence

FIELDS = {"x": np.array([[[2.0], [-1.0]], [[1.0], [0.0]]]), "y": np.zeros((2, 2, 1))}


def build(activation: str, dtype: str = "float64", **node: Any) -> graphbptt.Model:
    """y follows x within the step, by an activation."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("y", activation=activation, **node)
    graph.add_edge("x", "y", delay=0, init=1.0)
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    return graphbptt.compile(graph, inputs, targets, backend="numpy", dtype=dtype)


def explain(model: graphbptt.Model, **settings: Any) -> str:
    said = str(explain_divergence(model, [model.bind(FIELDS)], "now", **settings))
    assert said.startswith("now: the state of node 'y' is not finite from step ")
    return said.partition(" from step ")[2]


@pytest.mark.parametrize(
    ("activation", "said"),
    [
        (
            "net ** 2.5",
            "2 on: net ** 2.5 is nan where net is -1; write a power of what is never negative, such as relu(net)",
        ),
        (
            "1 + x * log(net + 1)",
            "2 on: log((net + 1)) is -inf where net + 1 is 0, in 1 + (x * log((net + 1))); write the logarithm of what"
            " is always above 0, such as 0.01 + softplus(net + 1)",
        ),
        (
            "sqrt(net)",
            "2 on: sqrt(net) is nan where net is -1; write the root of what is never negative, such as relu(net)",
        ),
        ("1 / net", "2 on: 1 / net is inf where net is 0; divide by what is never 0, such as 1 + abs(net)"),
        (
            "net ** -1",
            "2 on: net ** -1 is inf where net is 0; write a power of what is never 0, such as 1 + abs(net)",
        ),
        ("exp(exp(5 * net))", f"1 on: exp(exp((5 * net))) is inf where exp((5 * net)) is 22026.5; {START}"),
    ],
)
def test_the_operation_is_named_that_has_no_value(activation: str, said: str) -> None:
    assert said in explain(build(activation))


def test_what_updates_have_made_too_large_is_not_the_spec_s() -> None:
    model = build("net * 1e30", "float32")
    model.parameters["x->y"] = [[1e20]]
    assert explain(model, updated=True).endswith(f"net * 1e+30 is inf where net is 2e+20; {OPTIMIZER}")


def test_but_what_has_no_value_is_the_same_after_updates() -> None:
    assert explain(build("sqrt(net)"), updated=True) == explain(build("sqrt(net)"))


@pytest.mark.parametrize(
    ("parameter", "said"),
    [("x->y", "its net input is nan"), ("y.gain", "its coefficient gain is nan")],
)
def test_a_number_that_is_read_and_not_finite(parameter: str, said: str) -> None:
    model = build("gain * net", coefficients={"gain": {"init": 2.0}})
    model.parameters[parameter] = np.full_like(model.parameters[parameter], np.nan)
    assert said in explain(model)


def test_nothing_is_said_of_optimizers_before_the_first_update() -> None:
    with pytest.raises(DivergenceError, match=r"^in epoch 1, before any update: .* net is -1; write a power"):
        graphbptt.train(build("net ** 2.5"), FIELDS)
    with pytest.raises(DivergenceError, match=f"before any update: .* is inf .*; {START}"):
        graphbptt.train(build("exp(exp(5 * net))"), FIELDS)


def test_and_after_it_the_optimizer_is() -> None:
    wild = {"sgd": {"rate": 1e5}}
    with pytest.raises(DivergenceError) as caught:
        graphbptt.train(build("net * net"), FIELDS, optimizer=wild, epochs=99)
    assert "before any update" not in str(caught.value)
    assert str(caught.value).endswith(OPTIMIZER)


def test_a_derivative_that_is_infinite_before_any_update() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("y", activation="tanh(1e30 * net)", bias=False)
    graph.add_edge("x", "y", delay=0, init=0.0)
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    model = graphbptt.compile(graph, inputs, targets, backend="numpy")
    with pytest.raises(DivergenceError) as caught:
        graphbptt.train(model, {"x": np.full((1, 2, 1), 1e10), "y": np.ones((1, 2, 1))})
    assert str(caught.value) == (
        "in epoch 1, before any update: all states are finite, but the derivative of parameter"
        f" 'x->y' is not; {START}, or {SLOPE}"
    )
