from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt.model
from graphbptt.compiler import compile_network
from graphbptt.errors import SpecError
from graphbptt.gradients import check_gradients
from graphbptt.ir.batch import Batch
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.plan import Plan
from graphbptt.model import Model
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.reference import ReferenceBackend


@dataclass
class WrongExecutable:
    """The reference, with one derivative spoiled; it counts how often it was asked for the loss."""

    right: Any
    entry: int
    factor: float = 1.01
    added: float = 0.0
    asked: int = 0

    def run(self, parameters: np.ndarray, batch: Batch) -> Mapping[str, np.ndarray]:
        states: Mapping[str, np.ndarray] = self.right.run(parameters, batch)
        return states

    def loss(self, parameters: np.ndarray, batch: Batch) -> np.ndarray:
        loss: np.ndarray = self.right.loss(parameters, batch)
        self.asked += 1
        return loss

    def loss_and_gradient(self, parameters: np.ndarray, batch: Batch, gradient: np.ndarray) -> np.ndarray:
        loss: np.ndarray = self.right.loss_and_gradient(parameters, batch, gradient)
        gradient[self.entry] = self.factor * gradient[self.entry] + self.added
        return loss


class WrongBackend(ReferenceBackend):
    def build(self, plan: Plan, dtype: np.dtype[Any]) -> Any:
        slot = plan.layout.slot["h->h"]
        return WrongExecutable(super().build(plan, dtype), slot.offset + 2)


def compile_small(**tie: Any) -> Plan:
    graph = nx.DiGraph()
    graph.add_node("x", units=2)
    graph.add_node("h", units=2, activation="tanh", initial="learned")
    graph.add_edge("x", "h", **tie)
    graph.add_edge("h", "h", **tie)
    return compile_network(fold_graph(graph, [Clamp("x", "input")], [Target("h", "wanted")]))


@pytest.fixture(autouse=True)
def _reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        graphbptt.model, "build_executable", lambda name, *plan: (name, BACKENDS[name].build(*plan))
    )


BACKENDS = {"auto": ReferenceBackend(), "reference": ReferenceBackend(), "wrong": WrongBackend("wrong")}


RNG = np.random.default_rng(0)
FIELDS = {"input": RNG.normal(size=(3, 4, 2)), "wanted": RNG.normal(size=(3, 4, 2))}


@pytest.mark.parametrize("backend", ["reference", "wrong"])
def test_the_worst_entry_is_named(backend: str) -> None:
    model = Model(compile_small(), backend, "float32")
    before = model.vector.copy()
    report = check_gradients(model, FIELDS)
    assert model.vector.dtype == np.float32
    np.testing.assert_array_equal(model.vector, before)
    assert {group.group for group in report.groups} == {"h->h", "x->h", "h.bias", "h.initial"}
    assert report.worst is not None
    if backend == "reference":
        assert report.error < 1e-9
    else:
        assert (report.worst.group, report.worst.entry) == ("h->h", (1, 0))
        assert report.worst.computed == pytest.approx(1.01 * report.worst.expected)
        assert str(report).splitlines()[1].startswith("  h->h: error ")


def test_the_mean_of_copies_is_compared_with_the_mean() -> None:
    plan = compile_small(tie={"group": "W", "combine": "mean"})
    assert check_gradients(Model(plan), FIELDS).error < 1e-9


def test_fixed_groups_are_left_out() -> None:
    plan = compile_small(trainable=False)
    assert {group.group for group in check_gradients(Model(plan), FIELDS).groups} == {"h.bias", "h.initial"}


def test_large_groups_are_sampled() -> None:
    model = Model(compile_small())
    report = check_gradients(model, FIELDS, limit=3, seed=1)
    assert {group.group: (group.checked, group.size) for group in report.groups} == {
        "h->h": (3, 4),
        "x->h": (3, 4),
        "h.bias": (2, 2),
        "h.initial": (2, 2),
    }
    assert report == check_gradients(model, FIELDS, limit=3, seed=1)


def test_nothing_learned_is_nothing_wrong() -> None:
    graph = nx.DiGraph()
    graph.add_edge("x", "y", weight="wire")
    plan = compile_network(fold_graph(graph, [Clamp("x", "input")], [Target("y", "wanted")]))
    fields = {"input": np.ones((1, 2, 1)), "wanted": np.zeros((1, 2, 1))}
    report = check_gradients(Model(plan), fields)
    assert (report.groups, report.worst, report.error) == ((), None, 0.0)
    assert report.loss == 0.25


@pytest.mark.parametrize("limit", [0, -1, 1.5, True])
def test_at_least_one_entry_is_compared(limit: Any) -> None:
    network = fold_graph(nx.DiGraph([("h", "h")]), targets=[Target("h", "y")])
    with pytest.raises(SpecError, match=r"limit: .* entries cannot be compared"):
        check_gradients(Model(compile_network(network)), {"y": np.zeros((1, 2, 1))}, limit=limit)


@pytest.mark.parametrize("spacing", [0, -1e-4, np.nan, np.inf, True, "1e-4"])
def test_a_spacing_is_above_0(spacing: Any) -> None:
    with pytest.raises(SpecError, match=r"spacing: .* is no difference; write a number above 0"):
        check_gradients(Model(compile_small()), FIELDS, spacing=spacing)


def build_rectified(backend: str = "reference", **hidden: Any) -> Model:
    """Units whose net inputs at step 1 are those of zero states and zero biases."""
    graph = nx.DiGraph()
    graph.add_node("x", units=2)
    graph.add_node("h", **{"units": 3, "activation": "relu", **hidden})
    graph.add_edges_from([("x", "h"), ("h", "h"), ("h", "y")])
    graph.add_node("y", units=2)
    return Model(
        compile_network(fold_graph(graph, [Clamp("x", "input")], [Target("y", "wanted")])), backend, "float64"
    )


def test_derivatives_at_kinks_lie_between_those_of_the_two_sides() -> None:
    report = check_gradients(build_rectified(), FIELDS)
    assert report.error < 1e-8
    assert {group.group: group.at_kinks for group in report.groups if group.at_kinks} == {"h.bias": 3}
    assert str(report).splitlines()[-1] == (
        "3 derivatives stand at a kink, and lie between those on its two sides"
    )
    single = str(check_gradients(build_rectified(units=1), FIELDS))
    assert single.endswith("1 derivative stands at a kink, and lies between those on its two sides")


def test_kinks_of_groups_that_average_and_of_penalties() -> None:
    """That of a penalty is even, so that central differences agree with its derivative at 0."""
    graph = nx.DiGraph()
    graph.add_node("x", units=2)
    graph.add_node("h", units=2, activation="relu", bias={"tie": {"group": "b", "combine": "mean"}})
    graph.add_node("y", units=2, bias=False)
    graph.add_edge("x", "h")
    graph.add_edge("h", "y", init=0.0, penalty={"l1": 3})
    network = fold_graph(graph, [Clamp("x", "input")], [Target("h", "wanted"), Target("y", "wanted")])
    report = check_gradients(Model(compile_network(network)), FIELDS)
    assert report.error < 1e-8
    assert {group.group: group.at_kinks for group in report.groups if group.at_kinks} == {"b": 2}


@pytest.mark.parametrize(
    ("group", "entry", "spoil"),
    [
        ("h.bias", 1, (1.0, 0.3)),
        ("h.bias", 1, (1.0, -0.3)),
        ("h->h", 3, (1.01, 0.0)),
        ("h.bias", 1, (9.0, 0.0)),
    ],
)
def test_wrong_derivatives_are_found_at_kinks_and_elsewhere(
    monkeypatch: pytest.MonkeyPatch, group: str, entry: int, spoil: tuple[float, float]
) -> None:
    class Spoiled(ReferenceBackend):
        def build(self, plan: Plan, dtype: np.dtype[Any]) -> Any:
            return WrongExecutable(super().build(plan, dtype), plan.layout.slot[group].offset + entry, *spoil)

    monkeypatch.setitem(BACKENDS, "spoiled", Spoiled("spoiled"))
    report = check_gradients(build_rectified("spoiled"), FIELDS)
    assert report.worst is not None
    assert report.error > 1e-4
    assert report.worst.group == group
    assert np.ravel_multi_index(report.worst.entry, (3,) * len(report.worst.entry)) == entry
    assert sum(item.at_kinks for item in report.groups) == (2 if group == "h.bias" else 3)


def test_what_has_no_kinks_costs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[WrongExecutable] = []

    class Counted(ReferenceBackend):
        def build(self, plan: Plan, dtype: np.dtype[Any]) -> Any:
            built.append(WrongExecutable(super().build(plan, dtype), 0, 1.0))
            return built[-1]

    monkeypatch.setitem(BACKENDS, "counted", Counted("counted"))
    report = check_gradients(build_rectified("counted", activation="tanh"), FIELDS)
    assert "kink" not in str(report)
    assert built[-1].asked == 12 * sum(group.checked for group in report.groups)


def test_a_report_says_that_kinks_may_be_the_cause() -> None:
    """A jump is no kink; neither need a derivative lie between the sides where several kinks meet."""
    model = build_rectified(activation="step(net) + relu(net)")
    on_it = check_gradients(model, FIELDS)
    assert on_it.error > 1e-2
    assert "the activations of h have kinks" in str(on_it)
    model.parameters["h.bias"] = [0.5, 0.6, 0.7]
    model.parameters["x->h"] = np.zeros((2, 3))
    off_it = check_gradients(model, FIELDS)
    assert off_it.error < 1e-6
    assert off_it.kinks == on_it.kinks
    assert "kinks" not in str(off_it)
