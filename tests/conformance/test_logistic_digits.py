"""All digits of the logistic function, whose smallest results weigh as much as others: in logarithms, as rates."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
from agreement import BACKENDS

import graphbptt

pytestmark = pytest.mark.usefixtures("hurried_compiler")

NETS = np.arange(-80.0, 21.0)
SHARES = {"float32": 1e-6, "float64": 1e-14}
"""How far results may be off, as a share of them: some units in the last place."""

Function = Callable[[np.ndarray], np.ndarray]


def logistic(net: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(net, 0)) / (1 + np.exp(-abs(net)))


def softplus(net: np.ndarray) -> np.ndarray:
    return np.maximum(net, 0) + np.log1p(np.exp(-abs(net)))


CASES: dict[str, tuple[str, str, float, Function, Function]] = {
    # The state, and the derivative of the loss by the net input.
    "logistic": (
        "logistic", "squared_error", -1,
        logistic, lambda net: (logistic(net) + 1) * logistic(net) * logistic(-net),
    ),
    "logarithm": (
        "log(logistic(net))", "squared_error", -100,
        lambda net: -softplus(-net), lambda net: (100 - softplus(-net)) * logistic(-net),
    ),
    "silu": (
        "silu", "squared_error", -1,
        lambda net: net * logistic(net),
        lambda net: (net * logistic(net) + 1) * logistic(net) * (1 + net * logistic(-net)),
    ),
    "probability": ("logistic", "binary_cross_entropy", 0, logistic, logistic),
    "rate": (
        "softplus", "poisson", 1,
        softplus, lambda net: (1 - 1 / softplus(net)) * logistic(net),
    ),
}  # fmt: skip


def compile_units(activation: str, loss: str, backend: str, dtype: str, units: int) -> graphbptt.Model:
    """Units that each have a net input of their own, and a bias to differentiate by."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("h", units=units, activation=activation, bias=True)
    graph.add_edge("x", "h", delay=0, weight="one_to_one", init=1.0)
    graph.add_node("x", units=units)
    targets = [graphbptt.Target("h", "y", loss=loss)]
    return graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], targets, backend=backend, dtype=dtype)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", SHARES)
@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
def test_small_results_have_all_digits(backend: str, dtype: str, case: str) -> None:
    activation, loss, wanted, state, slope = CASES[case]
    model = compile_units(activation, loss, backend, dtype, len(NETS))
    fields = {"x": NETS[None, None], "y": np.full((1, 1, len(NETS)), wanted)}
    total, derivatives = model.loss_and_gradients(fields)
    assert np.isfinite(total)
    # Above 0 it is the difference from 1 that is small, which a logarithm or a slope is left with.
    share, rounding = SHARES[dtype], np.where(NETS > 0, SHARES[dtype] * 200, 0)
    for found, expected in (
        (model.run(fields)["h"][0, 0], state(NETS)),
        (derivatives["h.bias"], slope(NETS)),
    ):
        np.testing.assert_array_less(abs(found - expected), share * abs(expected) + rounding + 1e-300)


@pytest.mark.parametrize("activation", ["logistic", "net * logistic(net)", "softplus"])
@pytest.mark.parametrize("dtype", SHARES)
@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
def test_far_out_nothing_is_lost_but_digits(backend: str, dtype: str, activation: str) -> None:
    model = compile_units(activation, "squared_error", backend, dtype, 2)
    far = np.array([[[-1e4, 1e4]]])
    fields = {"x": far, "y": np.zeros((1, 1, 2))}
    last = 1.0 if activation == "logistic" else 1e4
    assert model.run(fields)["h"].tolist() == [[[0.0, last]]]
    derivative = model.loss_and_gradients(fields)[1]["h.bias"]
    assert derivative.tolist() == [0.0, 0.0 if activation == "logistic" else 1e4]
