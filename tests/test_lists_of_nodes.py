"""Clamps and targets on several nodes of one unit each, which share a field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt import Clamp, Target
from graphbptt.errors import SpecError
from graphbptt.training.dataset import Dataset
from graphbptt.training.evaluation import evaluate

RNG = np.random.default_rng(0)
FIELDS = {"cue": RNG.uniform(0, 1, (3, 4, 2)), "wanted": RNG.uniform(0, 1, (3, 4, 2))}
SPEC = """
network:
  nodes: {a: {initial: 1}, b: {initial: 1}, c: {activation: logistic}, d: {activation: logistic}}
  edges: [{from: a, to: c}, {from: b, to: d}, {from: c, to: d}]
inputs:
  sensors: {%s, field: cue}
targets:
  muscles: {where: {activation: logistic}, field: wanted}
"""


def draw() -> nx.DiGraph[Any]:
    graph: nx.DiGraph[Any] = nx.DiGraph([("a", "c"), ("b", "d"), ("c", "d"), ("d", "c")])
    graph.add_nodes_from(["c", "d"], activation="logistic")
    return graph


def compile_on(inputs: list[Clamp], targets: list[Target]) -> graphbptt.Model:
    return graphbptt.compile(draw(), inputs, targets, "numpy", "float64")


@pytest.mark.parametrize("at", ["every", "start", (2, 3)])
@pytest.mark.parametrize("mask", [None, "steps", "entries"])
def test_a_list_is_a_column_for_each_node(at: Any, mask: str | None) -> None:
    fields = dict(FIELDS)
    if at == "start":
        fields["cue"] = fields["cue"][:, 0]
    kept = RNG.integers(0, 2, fields["cue"].shape if mask == "entries" or at == "start" else (3, 4, 1))
    joint = compile_on(
        [Clamp(["b", "a"], "cue", at=at, mask=mask)], [Target(("d", "c"), "wanted", weight=2.0)]
    )
    apart = compile_on(
        [Clamp(node, f"cue {node}", at=at, mask=mask and f"{mask} {node}") for node in "ba"],
        [Target(node, f"wanted {node}", weight=2.0) for node in "dc"],
    )
    separate: dict[str, np.ndarray] = {}
    for column, (given, wanted) in enumerate(("bd", "ac")):
        separate[f"cue {given}"] = fields["cue"][..., [column]]
        separate[f"wanted {wanted}"] = fields["wanted"][..., [column]]
        separate[f"{mask} {given}"] = kept[..., [column]] if kept.shape[-1] == 2 else kept
    loss, gradients = joint.loss_and_gradients(fields if mask is None else {**fields, mask: kept})
    expected, derivatives = apart.loss_and_gradients(separate)
    assert loss == pytest.approx(expected, rel=1e-13)
    for name, derivative in derivatives.items():
        np.testing.assert_allclose(gradients[name], derivative, rtol=1e-12, atol=1e-15)


def test_a_tuple_is_a_node_where_there_is_such_a_node() -> None:
    graph = nx.grid_2d_graph(2, 2, create_using=nx.DiGraph)
    model = graphbptt.compile(graph, [Clamp((0, 1), "one")], backend="numpy")
    assert model.network.clamps[0].columns is None
    model = graphbptt.compile(graph, [Clamp([(0, 1), (1, 1)], "two")], backend="numpy")
    assert [clamp.node for clamp in model.network.clamps] == ["(0, 1)", "(1, 1)"]
    states = model.run({"two": [[[3.0, 4.0]]]})
    assert (states[0, 1].item(), states[1, 1].item()) == (3, 4)


def test_figures_are_those_of_the_whole_list() -> None:
    model = compile_on([Clamp(("a", "b"), "cue")], [Target(("c", "d"), "wanted")])
    figures = evaluate(model, Dataset(FIELDS)).figures
    states = model.run(FIELDS)
    error = np.concatenate([states["c"], states["d"]], -1) - FIELDS["wanted"]
    assert figures == {"wanted": {"mean squared error": pytest.approx(np.square(error).mean())}}


def test_a_step_reads_its_column() -> None:
    model = compile_on([Clamp(("a", "b"), "cue")], [])
    assert model.step({"cue": np.array([[3.0, 4.0]])})["b"].item() == 4


@pytest.mark.parametrize("choice", ["nodes: [a, b]", "where: {initial: 1}"])
def test_specs_choose_nodes_by_name_and_by_attributes(tmp_path: Path, choice: str) -> None:
    (tmp_path / "a.yaml").write_text(SPEC % choice)
    spec = graphbptt.load(tmp_path / "a.yaml")
    assert spec.inputs == (Clamp(("a", "b"), "cue"),)
    assert spec.targets == (Target(("c", "d"), "wanted"),)
    assert spec.compile().network.clamps[1].columns is not None


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        ("nodes: [a, e]", "a.yaml:6:20: inputs.sensors.nodes[1]: unknown node 'e'; known: a, b, c, d"),
        (
            "where: {type: x}",
            "a.yaml:6:20: inputs.sensors.where: no node has type: 'x'; known: activation, init",
        ),
        ("where: {initial: 2}", "a.yaml:6:20: inputs.sensors.where: no node has initial: 2; write values"),
        ("nodes: [a], where: {initial: 2}", "a.yaml:6:12: inputs.sensors: nodes and where both choose nodes"),
    ],
)
def test_wrong_choices_in_specs(tmp_path: Path, choice: str, complaint: str) -> None:
    (tmp_path / "a.yaml").write_text(SPEC % choice)
    with pytest.raises(SpecError) as caught:
        graphbptt.load(tmp_path / "a.yaml")
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(complaint)


def test_what_is_wrong_with_chosen_nodes_is_found_where_they_are_chosen(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        SPEC.replace("wanted}", "wanted, loss: cross_entropy}") % "nodes: [a, b]"
    )
    with pytest.raises(SpecError, match=r"a.yaml:8:\d+: target \[c, d\].*cross_entropy compares its 2 nodes"):
        graphbptt.load(tmp_path / "a.yaml").compile()


@pytest.mark.parametrize(
    ("inputs", "targets", "complaint"),
    [
        ([Clamp(["a", "e"], "x")], [], "clamp [a, e]: unknown node 'e'"),
        ([Clamp(["a", "a"], "x")], [], "clamp [a, a]: node a is listed twice"),
        ([Clamp([], "x")], [], "clamp []: it lists no nodes"),
        ([Clamp(["a", "b"], "x", units=[0])], [], "clamp [a, b].units: the nodes have one unit each"),
        ([Clamp(["a", "wide"], "x")], [], "clamp [a, wide]: wide has 3 units; list nodes of one unit each"),
        (
            [],
            [Target(["c", "d"], "x", loss="cross_entropy")],
            "target [c, d]: cross_entropy compares its 2 nodes with each other; make one node of 2 units",
        ),
    ],
)
def test_lists_that_cannot_be(inputs: list[Clamp], targets: list[Target], complaint: str) -> None:
    graph = draw()
    graph.add_node("wide", units=3)
    with pytest.raises(SpecError) as caught:
        graphbptt.compile(graph, inputs, targets)
    assert str(caught.value).startswith(complaint)
