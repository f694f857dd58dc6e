"""Cells: what they expand to, what their nodes and edges may say, and every mistake with its place and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import BACKENDS, assert_agreement

import graphbptt
from graphbptt.backend import find_backend
from graphbptt.compiler import compile_network
from graphbptt.gradients import check_gradients
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.parameters import FrozenArray
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.cut_batch import cut_batch
from graphbptt.passes.fold_graph import fold_graph

CELLS: list[Any] = [
    {"rnn": {"activation": "relu"}},
    {"rnn": {"activation": "softmax"}},
    "lstm",
    {"lstm": {"peepholes": True, "reverse": True}},
    "gru",
    {"gru": {"reset": "before"}},
    {"leaky": {"tau": 4, "dt": 0.5}},
    {"leaky": {"tau": [2, 3, 4, 5], "learned": True}},
    {"clockwork": {"periods": [1, 3]}},
    {"clockwork": {"periods": [2, 4], "reverse": True}},
    {"keeper": {"squash": "sin"}},
    {"stack": {}},
]
OWN = {
    "keeper": {
        "options": {"squash": None, "share": 0.5},
        "nodes": {
            "gate": {"activation": "logistic", "bias": "$bias"},
            "h": {"activation": "$share * gate * h[t-1] + (1 - gate) * $squash(net)", "initial": "$initial"},
        },
        "edges": [{"from": "h", "to": "gate"}, {"from": "h", "to": "h"}],
        "inputs": {"net": ["gate", "h"]},
        "outputs": ["h", "gate"],
    },
    "stack": {
        "nodes": {
            "low": {"cell": "gru", "initial": "$initial"},
            "high": {"cell": {"keeper": {"squash": "tanh"}}, "bias": "$bias"},
        },
        "edges": [{"from": "low", "to": "high", "delay": 0}],
        "inputs": {"net": "low"},
        "outputs": ["high", "low"],
    },
}


def draw(cell: Any, edge: dict[str, Any] | None = None, **attributes: Any) -> nx.DiGraph[Any]:
    """x -> h -> y with a cell at h."""
    graph: nx.DiGraph[Any] = nx.DiGraph(cells=OWN)
    graph.add_node("x", units=2)
    graph.add_node("h", cell=cell, **{"units": 4, **attributes})
    graph.add_edge("x", "h", **{"delay": 0, **(edge or {})})
    graph.add_edge("h", "y", delay=0)
    return graph


def complaints(graph: nx.DiGraph[Any]) -> list[str]:
    with pytest.raises(graphbptt.SpecError) as caught:
        fold_graph(graph)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_every_cell_agrees_with_the_reference_and_with_differences(cell: Any) -> None:
    graph = draw(cell, initial="learned", bias={"init": 0.1})
    clamps, wanted = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    plan = compile_network(fold_graph(graph, clamps, wanted))
    rng = np.random.default_rng(0)
    fields = {
        "x": rng.normal(size=(3, 7, 2)),
        "y": rng.normal(size=(3, 7, 1)),
        "lengths": np.array([7, 3, 5]),
    }
    vector = draw_parameters(plan.network, plan.layout, 1, np.float64)
    for name in BACKENDS:
        executable = find_backend(name).build(plan, np.dtype(np.float64))
        assert_agreement(plan, executable, vector, bind_batch(plan.network, fields, None, np.float64))
    if cell != CELLS[0]:  # the kink of relu
        model = graphbptt.compile(graph, clamps, wanted, backend="numpy", dtype="float64")
        assert check_gradients(model, fields).error < 1e-6


@pytest.mark.parametrize("cell", [cell for cell in CELLS if next(iter(cell)) not in OWN], ids=str)
def test_what_a_shipped_cell_fixes_is_no_parameter(cell: Any) -> None:
    assert all(group.trainable for group in fold_graph(draw(cell)).groups)


@pytest.mark.parametrize("reverse", [False, True])
def test_clocks_go_on_whatever_is_assigned(reverse: bool) -> None:
    graph = draw({"clockwork": {"periods": [1, 4], "reverse": reverse}})
    model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], backend="numpy")
    rng = np.random.default_rng(0)
    for name, array in model.parameters.items():
        model.parameters[name] = rng.normal(size=array.shape)
    states = model.run({"x": rng.normal(size=(1, 9, 2))})["h"][0, :: -1 if reverse else 1]
    acted = np.diff(states[:, 2:], axis=0, prepend=np.zeros((1, 2))).any(axis=1)
    assert np.flatnonzero(acted).tolist() == [3, 7]


def test_clockwork_modules_act_at_the_steps_that_their_periods_divide() -> None:
    graph = draw({"clockwork": {"periods": [1, 3]}})
    model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], backend="numpy", dtype="float64")
    states = model.run({"x": np.random.default_rng(0).normal(size=(1, 9, 2))})["h"][0]
    changed = np.diff(states, axis=0, prepend=np.zeros((1, 4))) != 0
    assert changed[:, :2].all()
    assert [step for step in range(1, 10) if changed[step - 1, 2:].any()] == [3, 6, 9]
    slow, fast = model.parameters["h->h#3"], model.parameters["h->h#1"]
    assert (slow.shape, fast.shape) == ((2, 2), (4, 2))


def test_clocks_count_on_from_call_to_call_and_from_batch_to_batch() -> None:
    """A module of period 5 acts at steps 5 and 10, however the ten steps are cut."""
    graph = draw({"clockwork": {"periods": [1, 5]}})
    model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], backend="numpy", dtype="float64")
    x = np.random.default_rng(0).normal(size=(1, 10, 2))
    stepped = np.array([model.step({"x": x[:, step]})["h"][0, 2:] for step in range(10)])
    assert model.state is not None
    assert model.state.rows["h.clock"][0].tolist() == [[1, 1, 5, 5]]
    batch = model.bind({"x": x})
    first = model.states(cut_batch(model.network, batch, 0, 4))
    rest = model.states(cut_batch(model.network, batch, 4, 10, carried=model.carry(4, 4)))
    cut = np.concatenate([states["h"][0, :, 2:] for states in (first, rest)])
    for states in (stepped, cut):
        acted = (np.diff(states, axis=0, prepend=0) != 0).any(axis=1)
        assert np.flatnonzero(acted).tolist() == [4, 9]


def test_the_forget_gate_starts_open_and_biases_can_be_left_out() -> None:
    model = graphbptt.compile(draw("lstm"), backend="numpy")
    assert model.parameters["h.forget.bias"].tolist() == [1] * 4
    assert model.parameters["h.input.bias"].tolist() == [0] * 4
    plain = graphbptt.compile(draw("lstm", bias=False), backend="numpy")
    assert [name for name in plain.parameters if name.startswith("h.") and name.endswith("bias")] == []


def test_a_learned_time_constant_starts_where_it_was_declared() -> None:
    fields = {"x": np.random.default_rng(0).normal(size=(1, 5, 2))}
    runs = []
    for learned in (False, True):
        graph = draw({"leaky": {"tau": 4.0, "learned": learned}})
        model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], backend="numpy", dtype="float64")
        runs.append(model.run(fields)["h"])
    np.testing.assert_allclose(*runs, atol=1e-12)


def test_ties_join_the_same_parts() -> None:
    graph = draw("lstm", {"tie": "W"})
    graph.add_node("k", cell={"lstm": {"recurrent": {"tie": "h->h"}}}, units=4)
    graph.add_edge("x", "k", tie="W")
    groups = set(fold_graph(graph).group)
    assert {"W:forget", "h->h.forget"} <= groups
    assert not {"x->k.forget", "k->k.forget"} & groups


def test_ports_and_names_inside() -> None:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", cell="lstm", units=2, initial="learned")
    graph.add_node("y", units=2, activation="net + h.cell[t-1]")
    graph.add_edge("x", "h", to_port="forget")
    graph.add_edge("h", "y", from_port="cell", delay=0)
    network = fold_graph(graph, [graphbptt.Clamp("h.cell", "c", at="start")])
    names = [connection.name for connection in network.connections]
    assert "x->h.forget" in names
    assert "x->h.input" not in names
    assert "h.cell->y" in names
    assert {"h.initial", "h.cell.initial"} <= set(network.group)


def test_edges_of_a_cell_keep_clear_of_the_users_own() -> None:
    """The third of the user's edges has the key 2; so has the one of the modules with period 2."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", cell={"clockwork": {"periods": [1, 2]}}, units=2)
    for number in range(3):
        graph.add_edge("h", "h", init=number)
    names = {connection.name for connection in fold_graph(graph).connections}
    assert names >= {"h->h#0", "h->h#1", "h->h#2", "h->h#1'", "h->h#2'"}


def test_templates_of_a_hand_built_graph_may_hold_arrays() -> None:
    low = {"activation": "tanh", "bias": np.array([0.1, 0.2]), "initial": np.array([0.3, 0.4])}
    cell = {"nodes": {"low": low, "h": {}}, "edges": [{"from": "low", "to": "h", "init": np.eye(2)}]}
    graph = draw("own", units=2)
    graph.graph["cells"] = {"own": {**cell, "inputs": {"net": ["low"]}, "outputs": ["h"]}}
    network = fold_graph(graph)
    initial = network.population["h.low"].initial
    assert isinstance(initial, FrozenArray)
    assert initial.values.tolist() == [0.3, 0.4]
    assert network.group["h.low.bias"].init == FrozenArray([0.1, 0.2])


@pytest.mark.parametrize(
    ("graph", "complaint"),
    [
        (draw("lstn"), "node h.cell: unknown cell 'lstn'; did you mean 'lstm'?"),
        (draw({"lstm": {"forgetbias": 1}}), "unknown key 'forgetbias'; did you mean 'forget_bias'?"),
        (draw({"gru": {"reset": "afte"}}), "'afte' is not among the choices; did you mean 'after'?"),
        (draw({"rnn": {"activation": "tahn"}}), "unknown activation 'tahn'; did you mean 'tanh'?"),
        (draw({"leaky": {"activation": "softmax"}}), "softmax works on all units together, not unit by unit"),
        (
            draw({"leaky": {"tau": [2, 3]}}),
            "tau of shape (2,) for 4 units; write one number, or one for each",
        ),
        (draw({"leaky": {"tau": 0.5}}), "a time constant of 0.5, with steps of 1; write tau at least dt"),
        (draw({"clockwork": {"periods": [1, 2, 4]}}), "4 units cannot be 3 modules of equal size"),
        (draw({"clockwork": {"periods": [2, 1]}}), "the periods do not rise"),
        (draw("keeper"), "node h.cell: keeper needs its option 'squash'; write {keeper: {squash: ...}}"),
        (draw({"keeper": {"squish": 1}}), "keeper has no option 'squish'; did you mean 'squash'?"),
        (
            draw("lstm", {"to_port": "forgot"}),
            "edge x->h.to_port: h has no input 'forgot'; did you mean 'forget'?",
        ),
        (draw("lstm", {"from_port": "h"}), "edge x->h.forget.from_port: x is no cell, so it has no ports"),
        (draw("lstm", activation="tanh"), "node h.activation: the cell says the activation itself"),
    ],
)
def test_mistakes(graph: nx.DiGraph[Any], complaint: str) -> None:
    assert any(complaint in found for found in complaints(graph)), complaints(graph)


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        (
            {"a": {"nodes": {"h": {"cell": "a"}}, "outputs": "h"}},
            "a cell contains itself: a > a; take it out of a",
        ),
        (
            {"a": {"nodes": {"h": {"bias": "$bas"}}, "outputs": "h"}},
            "cell a.nodes.h.bias: unknown option '$bas'",
        ),
        (
            {"a": {"nodes": {"h": {"activation": "g"}}, "outputs": "h"}},
            "cell a.nodes.h.activation: unknown activation",
        ),
        ({"a": {"nodes": {"h": {}}, "outputs": ["k"]}}, "cell a.outputs: unknown node 'k'; known: h"),
        (
            {"a": {"nodes": {"h": {}}, "outputs": "h", "options": {"b": 1}}},
            "cell a.options.b: nothing in the cell",
        ),
        (
            {"a": {"nodes": {"h": {}}, "outputs": "h", "inputs": {"net": "k"}}},
            "cell a.inputs.net: unknown node 'k'",
        ),
        (
            {"a": {"nodes": {"h": {}}, "edges": [{"from": "k", "to": "h"}], "outputs": "h"}},
            "cell a.edges[0].from: unknown",
        ),
        ({"a": {"nodes": {"h": {}}, "outputs": "h"}}, "edge x->h: the cell h has no inputs; remove the edge"),
        (
            {"a": {"nodes": {"h": {}}, "edges": [{"to": "h"}], "outputs": "h"}},
            "cell a.edges[0]: 'from' is absent; write from: ...",
        ),
        (
            {"a": {"nodes": {"h": {"colour": 3}}, "outputs": "h"}},
            "cell a.nodes.h.colour: unknown key 'colour'",
        ),
        (
            {"a": {"nodes": {"h": {}}, "edges": [{"from": "h", "to": "h", "dely": 2}], "outputs": "h"}},
            "cell a.edges[0].dely: unknown key 'dely'; did you mean 'delay'?",
        ),
        ({"a": {}, "lstm": {"nodes": {"h": {}}, "outputs": "h"}}, "cell lstm: lstm is a cell already"),
    ],
)
def test_mistakes_in_templates(cells: dict[str, Any], complaint: str) -> None:
    graph = draw("a")
    graph.graph["cells"] = cells
    assert any(complaint in found for found in complaints(graph)), complaints(graph)


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        (["a"], "cells: ['a'] is no mapping"),
        ({"a": {"nodes": {"h": {}}, "outputs": "h", "options": {"b": 1}}}, "cell a.options.b: nothing in"),
    ],
)
def test_cells_that_no_node_uses_are_checked(cells: Any, complaint: str) -> None:
    assert any(complaint in found for found in complaints(nx.DiGraph([("x", "y")], cells=cells)))


def test_mistakes_have_places(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(
        "network:\n"
        "  cells: {own: {nodes: {h: {activation: tahn(net)}}, inputs: {net: h}, outputs: h}}\n"
        "  nodes:\n    x:\n    h: {cell: own}\n    k: {cell: {lstm: {recurrent: {init: gloro}}}}\n"
        "  edges:\n    - {from: x, to: h, to_port: nte}\n"
    )
    with pytest.raises(graphbptt.SpecError) as caught:
        graphbptt.load(path)
    found = [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]
    assert [text.split(":")[0] for text in found] == ["2", "8"], found
    path.write_text(path.read_text().replace("tahn", "tanh").replace("nte", "net"))
    with pytest.raises(graphbptt.SpecError, match=r":6:\d+: .*unknown init 'gloro'"):
        graphbptt.load(path).compile()


def test_recurrent_weights_go_where_the_cell_says(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("network:\n  nodes:\n    x:\n    h: {cell: {rnn: {recurrent: {from: x}}}}\n")
    with pytest.raises(
        graphbptt.SpecError, match=r":4:\d+: network.nodes.h.cell.rnn.recurrent.from: .*no 'from'"
    ):
        graphbptt.load(path)


@pytest.mark.parametrize("cell", ["lstm", "gru", "own"])
def test_noise_needs_a_state_that_reads_net(cell: str) -> None:
    own = {"nodes": {"h": {"activation": "k * h[t-1]", "coefficients": {"k": 0.5}}}, "outputs": "h"}
    graph: nx.DiGraph[str] = nx.DiGraph(cells={"own": own})
    graph.add_node("h", cell=cell, noise=0.1)
    (complaint,) = complaints(graph)
    assert (
        "node h.noise: noise adds to the net input, which the state of this cell does not read" in complaint
    )
    assert "leave it out, or use a cell whose state reads net" in complaint


def test_a_mistake_in_a_nested_cell_is_found_once() -> None:
    graph = draw("outer")
    graph.graph["cells"] = {
        "inner": {"nodes": {"s": {"activation": "tahn"}}, "inputs": {"net": "s"}, "outputs": "s"},
        "middle": {"nodes": {"t": {"cell": "inner"}}, "inputs": {"net": "t"}, "outputs": "t"},
        "outer": {"nodes": {"u": {"cell": "middle"}}, "inputs": {"net": "u"}, "outputs": "u"},
    }
    (complaint,) = complaints(graph)
    assert complaint.startswith("cell inner.nodes.s.activation: unknown activation 'tahn'")


@pytest.mark.parametrize(
    ("node", "edge", "complaint"),
    [
        ({"units": 0}, {}, "cell a.nodes.s.units: 0 is out of range; write at least 1"),
        ({"bias": "maybe"}, {}, "cell a.nodes.s.bias: 'maybe' is no bias"),
        (
            {"initial": ["$units", "lerned"]},
            {},
            "node h.initial: ",
        ),  # an option may be wrong where it is given
        ({"noise": -1}, {}, "cell a.nodes.s.noise: -1 is out of range; write at least 0"),
        ({"coefficients": {"c": {"init": "gloro"}}}, {}, "cell a.nodes.s.coefficients.c.init: unknown init"),
        ({}, {"delay": 1.5}, "cell a.edges[0].delay: 1.5 cannot stand here"),
        ({}, {"weight": "spars"}, "cell a.edges[0].weight: 'spars' is not among the choices"),
    ],
)
def test_a_wrong_value_is_reported_in_its_template(
    node: dict[str, Any], edge: dict[str, Any], complaint: str
) -> None:
    graph = draw("a")
    edges = [{"from": "s", "to": "s", **edge}]
    graph.graph["cells"] = {
        "a": {"nodes": {"s": node}, "edges": edges, "inputs": {"net": "s"}, "outputs": "s"}
    }
    (found,) = complaints(graph)
    assert found.startswith(complaint)
