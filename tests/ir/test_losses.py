"""The losses: values by hand, slopes by differences, and the pairs of loss and activation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import assert_agreement

import graphbptt
from graphbptt.backend import find_backend
from graphbptt.compiler import compile_network
from graphbptt.errors import DataError, SpecError
from graphbptt.gradients import check_gradients
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.losses import LOSSES, resolve_loss
from graphbptt.model import Model
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph


def measure(
    loss: str, predicted: list[float], wanted: list[float], **options: float
) -> tuple[float, list[float]]:
    value, slope = LOSSES[loss].measure(np.array([[predicted]]), np.array([[wanted]]), **options)
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
    value, slope = measure("huber", [0.5, 3.0, -2.0], [0.0, 0.0, 0.0], delta=2.0)
    assert value == pytest.approx(0.125 + 2 * 3 - 2 + 2)
    assert slope == [0.5, 2.0, -2.0]


def test_a_target_says_the_options_of_its_loss(tmp_path: Path) -> None:
    """A spec and a hand-built target alike; the folded network, its text, the losses and the derivatives know them."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "network: {nodes: {y: {initial: learned}}, edges: [{from: y, to: y}]}\n"
        "targets: {y: {field: y, loss: {huber: {delta: 0.5}}}}\nbackend: numpy\ndtype: float64\n"
    )
    model = graphbptt.load(spec).compile()
    by_hand = graphbptt.Target("y", "y", loss={"huber": {"delta": 0.5}})
    assert model.network.targets == (by_hand,)
    assert "target y to y at every: 1 * huber(delta=0.5)" in str(model.network)
    wanted = np.array([[[0.25], [7.0]]])
    states = model.run({}, steps=2)["y"]
    assert not states.any()
    loss, _ = model.loss_and_gradients({"y": wanted})
    assert loss == pytest.approx((0.25**2 / 2 + 0.5 * (7 - 0.25)) / 2)
    assert graphbptt.check_gradients(model, {"y": wanted}).error < 1e-6


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ({"huber": {"delta": 0}}, "delta of huber is 0; write a positive number"),
        ({"huber": {"delta": 10**400}}, "write a positive number"),
        ({"huber": {"delta": True}}, "delta of huber is True; write a positive number"),
        ({"huber": {"delta": "1"}}, "delta of huber is '1'; write a positive number"),
        ({"huber": {"dleta": 1}}, "huber has no option 'dleta'; did you mean 'delta'?"),
        ({"poisson": {"delta": 1}}, "poisson has no option 'delta'; write poisson alone"),
        ({"huber": 3}, r"3 are no options; write {huber: {option: number}}"),
        ({"hubert": {}}, "'hubert' is not among the choices; did you mean 'huber'?"),
        ({"huber": {}, "poisson": {}}, "is no loss; write a name, or a name with its options"),
        (3, "3 is no loss; write a name"),
    ],
)
def test_what_is_no_loss(loss: Any, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        fold_graph(declare("tanh"), [], [Target("y", "y", loss)])
    assert "target y.loss: " in str(caught.value)
    assert said in str(caught.value)


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


def choose(*clamps: Clamp, units: tuple[int, ...] | None = None) -> FoldedNetwork:
    targets = [Target("y", "label", "cross_entropy", units)]
    return fold_graph(declare("softmax"), [Clamp("x", "x"), *clamps], targets)


def test_cross_entropy_of_a_softmax_is_taken_on_its_net_input_where_it_is_free() -> None:
    free, forced = choose(), choose(Clamp("y", "p", mask="m"))
    assert resolve_loss(free, free.targets[0]) == (LOSSES["cross_entropy"].on_net, "net")
    assert resolve_loss(forced, forced.targets[0]) == (LOSSES["cross_entropy"].on_state, "state")
    logits = fold_graph(declare("identity"), [Clamp("x", "x")], [Target("y", "label", "cross_entropy")])
    assert resolve_loss(logits, logits.targets[0]) == (LOSSES["cross_entropy"], "state")


@pytest.mark.parametrize("units", [None, (2, 0)])
def test_cross_entropy_is_the_same_of_net_inputs_and_of_probabilities(units: tuple[int, ...] | None) -> None:
    """Of some of the units, it is that of their share of what these have together."""
    rng = np.random.default_rng(3)
    fields = {
        "x": rng.normal(size=(4, 5, 2)),
        "label": rng.integers(0, 2, (4, 5)),
        "p": rng.uniform(size=(4, 5, 3)),
        "m": np.zeros((4, 5)),  # no state is set
    }
    found = []
    for network in (choose(units=units), choose(Clamp("y", "p", mask="m"), units=units)):
        model = Model(compile_network(network), "numpy", "float64")
        model.vector[...] = np.random.default_rng(4).normal(size=model.vector.size)
        found.append(model.loss_and_gradients(fields))
        assert check_gradients(model, fields).error < 1e-6
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    for name, gradient in found[0][1].items():
        np.testing.assert_allclose(gradient, found[1][1][name], rtol=0, atol=1e-12)


def test_a_probability_of_zero_has_a_finite_loss() -> None:
    rule = LOSSES["cross_entropy"].on_state
    assert rule is not None
    loss, slope = rule.measure(np.array([[[0.0, 1.0], [0.0, 0.0]]]), np.zeros((1, 2), int))
    assert np.isfinite(loss).all()
    assert np.isfinite(slope).all()


def test_far_from_the_label_the_slope_of_a_saturated_softmax_is_exact() -> None:
    """The state of the right unit is 0 in this precision; on the net input the loss still tells how far it is off."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("y", units=2, activation="softmax", bias={"init": [2000.0, 0.0]})
    model = graphbptt.compile(graph, [], [Target("y", "label", "cross_entropy")], "numpy", "float64")
    loss, gradients = model.loss_and_gradients({"label": [[1]]})
    assert loss == 2000
    np.testing.assert_array_equal(gradients["y.bias"], [1, -1])
