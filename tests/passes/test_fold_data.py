"""Inputs and targets against the nodes they name: canonical forms, and what is refused."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest

from graphbptt.errors import SpecError
from graphbptt.ir.data import Clamp, Last, Target
from graphbptt.passes.fold_graph import fold_graph


def draw(activation: str = "logistic", units: int = 3) -> nx.DiGraph[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("h", units=units, activation=activation)
    graph.add_edge("h", "h")
    return graph


def complaints(*items: Clamp | Target, graph: Any = None) -> list[str]:
    clamps = [item for item in items if isinstance(item, Clamp)]
    targets = [item for item in items if isinstance(item, Target)]
    with pytest.raises(SpecError) as caught:
        fold_graph(draw() if graph is None else graph, clamps, targets)
    return [str(problem) for problem in caught.value.problems]


def make(kind: type, **attributes: Any) -> Any:
    return kind(**{"node": "h", "field": "f", **attributes})


@pytest.mark.parametrize("at", ["every", "start", (1, 4)])
def test_clamps_are_kept_as_declared(at: Any) -> None:
    clamps = (Clamp("h", "f", (2, 0), at, "m"), Clamp("h", "g"))
    assert fold_graph(draw(), clamps).clamps == clamps


@pytest.mark.parametrize("at", ["every", "last", Last(3), (1, 4)])
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy", "binary_cross_entropy"])
def test_targets_are_kept_as_declared(loss: Any, at: Any) -> None:
    targets = (Target("h", "f", loss, (2, 0), at, "m", 0.5), Target("h", "g"))
    assert fold_graph(draw(), [], targets).targets == targets


def test_node_may_be_the_node_itself() -> None:
    graph = nx.DiGraph([(1, 2)])
    network = fold_graph(graph, [Clamp(1, "x")], [Target(2, "y")])  # type: ignore[arg-type]
    assert (network.clamps[0].node, network.targets[0].node) == ("1", "2")


@pytest.mark.parametrize("noun", ["clamp", "target"])
@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ({"node": "hh"}, "hh: unknown node 'hh'; did you mean 'h'?"),
        ({"field": 3}, "h.field: 3 cannot stand here; write text"),
        ({"field": ""}, "h.field: '' cannot stand here; write some text"),
        ({"field": "lengths"}, "h.field: the field lengths holds the lengths"),
        ({"mask": 1}, "h.mask: 1 cannot stand here; write text"),
        ({"units": [3]}, "h.units: unit 3 of 3; write units from 0 to 2"),
        ({"units": [-1]}, "h.units: -1 is no unit; units are whole numbers that count from 0"),
        ({"units": [1, 1]}, "h.units: unit 1 is listed twice; list it once"),
        ({"units": 1}, "h.units: 1 is no list of units; write a list such as [0, 1]"),
        ({"at": 3}, "h.at: 3 is no time; write every, "),
        ({"units": []}, "h.units: no units are listed; list at least one"),
        ({"at": "evry"}, "h.at: unknown time 'evry'; did you mean 'every'?"),
        ({"at": [0]}, "h.at: 0 is no step; steps are whole numbers that count from 1"),
        ({"at": [1.5]}, "h.at: 1.5 is no step"),
        ({"at": [2, 2]}, "h.at: step 2 is listed twice; list it once"),
        ({"at": []}, "h.at: no steps are listed; list at least one"),
    ],
)
def test_mistakes(noun: str, attributes: dict[str, Any], complaint: str) -> None:
    (found,) = complaints(make(Clamp if noun == "clamp" else Target, **attributes))
    assert found.startswith(f"{noun} {complaint}")


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        (
            {"loss": "mse"},
            "target h.loss: 'mse' is not among the choices; known: binary_cross_entropy, cross_entropy",
        ),
        ({"weight": -1}, "target h.weight: -1 is out of range; write at least 0"),
        ({"weight": float("nan")}, "target h.weight: nan cannot stand here; write a finite number"),
        ({"loss": "cross_entropy", "units": [1]}, "target h.loss: cross_entropy over one unit is always 0"),
        ({"at": "start"}, "target h.at: unknown time 'start'"),
    ],
)
def test_mistakes_in_targets(attributes: dict[str, Any], complaint: str) -> None:
    (found,) = complaints(make(Target, **attributes))
    assert found.startswith(complaint)


@pytest.mark.parametrize(
    "activation",
    [
        "tanh", "relu", "identity", "exp", "2 * tanh(net)", "0.5 + tanh(net)", "minimum(net, 1)", "-logistic(net)",
        "2 + logistic(net) * logistic(h[t-1])", "2 + logistic(net) * logistic(net)",
    ],
)  # fmt: skip
def test_binary_cross_entropy_needs_states_from_0_to_1(activation: str) -> None:
    target = Target("h", "f", "binary_cross_entropy")
    (found,) = complaints(target, graph=draw(activation))
    assert "binary_cross_entropy is defined for states from 0 to 1" in found
    assert "write activation: logistic at h" in found


def test_poisson_needs_rates() -> None:
    (found,) = complaints(Target("h", "f", "poisson"), graph=draw("identity"))
    assert "poisson is defined for states from 0 to inf" in found
    assert "write activation: softplus or exp at h" in found


@pytest.mark.parametrize(
    "activation",
    [
        "logistic", "step", "logistic(net) * h[t-1]", "tanh(net) * tanh(net)", "0.5 + 0.5 * tanh(net)",
        "minimum(1, relu(net))", "tanh(relu(net))", "1 / (1 + exp(-net))", "0.7 * logistic(net) + 0.2 + 0.1",
    ],
)  # fmt: skip
def test_binary_cross_entropy_of_other_states(activation: str) -> None:
    assert fold_graph(draw(activation), [], [Target("h", "f", "binary_cross_entropy")]).targets


@pytest.mark.parametrize(
    ("clamps", "units", "vain"),
    [
        ([{}], None, True),
        ([{"units": (0, 1)}, {"units": (2,)}], None, True),
        ([{"units": (0, 1)}], (1,), True),
        ([{"units": (0, 1)}], (1, 2), False),
        ([{"at": (1, 2)}], None, False),
        ([{"at": "start"}], None, False),
        ([{"mask": "m"}], None, False),
    ],
)
def test_target_on_given_units_is_vain(clamps: list[dict[str, Any]], units: Any, vain: bool) -> None:
    items = [make(Clamp, **attributes) for attributes in clamps]
    target = Target("h", "y", units=units)
    if vain:
        (found,) = complaints(*items, target)
        assert found.startswith("target h: its units of h are clamped to data at every step")
    else:
        assert fold_graph(draw(), items, [target]).targets


@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        (["x"], "[0]: 'x' is no {kind}; write {argument}=[graphbptt.{kind}(node, field)]"),
        ("x", ": 'x' is no list of {kind}s; write {argument}=["),
        ({"x": "f"}, ": {{'x': 'f'}} is no list of {kind}s; write {argument}=["),
        (None, ": None is no list of {kind}s"),
        (
            Clamp("h", "f"),
            ": Clamp(node='h', field='f', units=None, at='every', mask=None) is no list of {kind}s",
        ),
    ],
)
@pytest.mark.parametrize("kind", [Clamp, Target])
def test_what_is_no_list_of_items(kind: type[Clamp] | type[Target], items: Any, complaint: str) -> None:
    argument = "inputs" if kind is Clamp else "targets"
    with pytest.raises(SpecError) as caught:
        fold_graph(draw(), **{argument: items})
    expected = argument + complaint.format(kind=kind.__name__, argument=argument)
    assert str(caught.value).startswith(expected)


def test_a_target_among_the_inputs_is_named() -> None:
    with pytest.raises(SpecError, match=r"^inputs\[1\]: Target\(.* is no Clamp; write inputs="):
        fold_graph(draw(), [Clamp("h", "f"), Target("h", "y")])  # type: ignore[list-item]


@pytest.mark.parametrize("steps", [0, -2, 1.5, "2", True])
def test_what_is_no_number_of_last_steps(steps: Any) -> None:
    with pytest.raises(SpecError, match="it is no number of steps; write a whole number from 1 on"):
        Last(steps)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {}),
        ({}, {"units": [1]}),
        ({"at": [1, 3]}, {"at": [2, 3]}),
        ({"at": "start"}, {"at": "start", "units": [0, 2]}),
        ({"at": "every"}, {"at": [7]}),
    ],
)
def test_clamps_that_set_the_same_states(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert complaints(Clamp("h", "a", **one), Clamp("h", "b", **other)) == [
        "clamp h[1]: it sets states of h that clamp h[0] sets too, from field a;"
        " give them different units or steps, or masks, or leave one out"
    ]


def test_of_lists_of_nodes_too() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph([("a", "b")])
    (complaint,) = complaints(Clamp(["a", "b"], "x"), Clamp("b", "y"), graph=graph)
    assert complaint.startswith("clamp b: it sets states of b that clamp [a, b] sets too, from field x")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"units": [0, 1]}, {"units": [2]}),
        ({"at": [1, 3]}, {"at": [2]}),
        ({"at": "start"}, {}),
        ({"mask": "m"}, {}),
    ],
)
def test_clamps_that_do_not(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert len(fold_graph(draw(), [Clamp("h", "a", **one), Clamp("h", "b", **other)]).clamps) == 2


def test_several_on_one_node_are_told_apart() -> None:
    items: list[Clamp | Target] = [
        Clamp("h", "a"),
        Clamp("h", "b", at=(0,)),
        Target("h", "c", units=(9,), at="last"),
        Target("h", "d"),
    ]
    paths = [complaint.partition(": ")[0] for complaint in complaints(*items)]
    assert paths == ["clamp h[1].at", "target h[0].units", "target h[1]"]
