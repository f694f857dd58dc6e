"""Coalescing: a graph of single units gives the same numbers under the same names, put together or not."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbptt.compiler import compile_network
from graphbptt.errors import DataError, SpecError
from graphbptt.gradients import check_gradients
from graphbptt.ir.data import Clamp, Target
from graphbptt.model import Model
from graphbptt.passes.coalesce_units import coalesce_units
from graphbptt.passes.fold_graph import fold_graph

ACTIVATIONS = ("tanh", "logistic", "identity", "0.3 * {0}[t-1] + 0.7 * tanh(net)", "rate * tanh(net)", "sin")
INITS: tuple[Any, ...] = (0.3, [[-0.4]], "normal", {"uniform": {"low": 0.1}}, "orthogonal", "glorot", None)


def compile_as(graph: nx.DiGraph[Any], inputs: list[Clamp], targets: list[Target], threshold: int) -> Model:
    done = coalesce_units(graph, inputs, targets, threshold)
    network = fold_graph(done.graph, done.inputs, done.targets)
    return Model(compile_network(network), "numpy", "float64", seed=5, aliases=done.aliases)


@st.composite
def parameters(draw: st.DrawFn, group: str, kind: str) -> dict[str, Any]:
    """What a weight or a bias says; a tie to a group of its kind, which starts by default."""
    said: dict[str, Any] = {}
    if draw(st.integers(0, 2)) == 0:
        name = f"{group}{draw(st.integers(0, 2))}"
        scale = draw(st.sampled_from((1.0, -2.0, 0.5)))
        said["tie"] = name if scale == 1 else {"group": name, "scale": scale}
    else:
        init = draw(st.sampled_from(INITS))
        fits = kind == "dense" or (not isinstance(init, list) and init not in ("orthogonal",))
        said["init"] = init if fits else 0.2
        if draw(st.integers(0, 4)) == 0:
            said["trainable"] = False
    return said


@st.composite
def unit_graphs(draw: st.DrawFn) -> nx.MultiDiGraph[Any]:
    """Nodes of one unit, a few of several, some that read others; edges of every kind."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    count = draw(st.integers(2, 9))
    ahead = draw(st.integers(0, 5)) == 0
    names = [f"n{number}" for number in range(count)]
    for name in names:
        text = draw(st.sampled_from(ACTIVATIONS)).format(name)
        attributes: dict[str, Any] = {"activation": text, "colour": draw(st.sampled_from("rgb"))}
        if "rate" in text:
            rates = (0.5, [0.4], {"init": 0.3}, {"init": [0.2]}, {"init": 0.7, "tie": "rate"})
            attributes["coefficients"] = {"rate": draw(st.sampled_from(rates))}
        bias = draw(st.sampled_from((None, True, False, 0.2, "said")))
        attributes["bias"] = draw(parameters("bias", "bias")) if bias == "said" else bias
        attributes["initial"] = draw(st.sampled_from((0.0, 0.5, "learned", {"init": 0.1}, {"tie": "start"})))
        if draw(st.integers(0, 9)) == 0:
            attributes["units"] = 2
            attributes["coefficients"] = dict.fromkeys(attributes.get("coefficients", ()), 0.5)
            attributes["initial"], attributes["bias"] = 0.5, True
        graph.add_node(name, **attributes)
    if draw(st.integers(0, 3)) == 0 and graph.nodes["n0"].get("units", 1) == graph.nodes["n1"].get(
        "units", 1
    ):
        graph.nodes["n1"]["activation"] = "tanh(net) * n0[t-1]"
        graph.nodes["n1"].pop("coefficients", None)
    for _ in range(draw(st.integers(1, 25))):
        source, target = draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))
        first = 0 if source < target else 1
        delay = draw(st.integers(-2 if ahead and source < target else first, 2))
        small = all(graph.nodes[names[end]].get("units", 1) == 1 for end in (source, target))
        kind = draw(st.sampled_from(("dense", "dense", "scalar", "one_to_one", "wire"))) if small else "dense"
        edge: dict[str, Any] = {"delay": delay, "weight": kind, "count": 3}
        if kind != "wire" and small:
            edge |= draw(parameters(f"{kind} ", kind))
        if small and draw(st.integers(0, 9)) == 0:
            edge["from_units"] = [0]
        graph.add_edge(names[source], names[target], **edge)
    return graph


@st.composite
def problems(draw: st.DrawFn) -> tuple[nx.MultiDiGraph[Any], list[Clamp], list[Target]]:
    graph = draw(unit_graphs())
    units = [node for node in graph if graph.nodes[node].get("units", 1) == 1]
    inputs, targets = [], []
    if units:
        given = draw(st.lists(st.sampled_from(units), max_size=3, unique=True))
        inputs = (
            [Clamp(given, "given", at=draw(st.sampled_from(("every", "start", (1, 3)))))] if given else []
        )
        for node in draw(st.lists(st.sampled_from(units), max_size=2)):
            inputs.append(Clamp(node, f"to {node}", at=(2,)))
        wanted = [node for node in units if node not in given]
        if len(wanted) > 1:
            targets = [Target(draw(st.permutations(wanted)), "wanted", weight=0.5)]
        targets += [Target(node, f"of {node}", at="last") for node in wanted[:1]]
    return graph, inputs, targets


def make_fields(inputs: list[Clamp], targets: list[Target]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    items: list[Clamp | Target] = [*inputs, *targets]
    fields = {}
    for item in items:
        width = len(item.node) if isinstance(item.node, tuple) else 1
        shape = (3, width) if item.at == "start" else (3, 5, width)
        fields[item.field] = rng.uniform(-1, 1, shape)
    return fields


@given(case=problems())
def test_the_same_numbers_under_the_same_names(
    case: tuple[nx.MultiDiGraph[Any], list[Clamp], list[Target]],
) -> None:
    graph, inputs, targets = case
    try:
        plain = compile_as(graph, inputs, targets, 1000)
    except SpecError:
        with pytest.raises(SpecError):
            compile_as(graph, inputs, targets, 0)
        return
    joint = compile_as(graph, inputs, targets, 0)
    fields = make_fields(inputs, targets)
    assert plain.aliases.places == {}
    for name, value in plain.parameters.items():
        assert joint.parameters[name].shape == value.shape, name
        np.testing.assert_allclose(joint.parameters[name], value, rtol=1e-12, err_msg=name)
        joint.parameters[name] = value * 1.5 + 0.01
        plain.parameters[name] = value * 1.5 + 0.01
    expected, states = plain.run(fields, 5), joint.run(fields, 5)
    assert list(states) == list(graph) == list(expected)
    for node, series in expected.items():
        np.testing.assert_allclose(states[node], series, rtol=1e-10, atol=1e-12, err_msg=str(node))
    loss, derivatives = plain.loss_and_gradients(fields, 5)
    found, gradients = joint.loss_and_gradients(fields, 5)
    assert found == pytest.approx(loss, rel=1e-10)
    for name, derivative in derivatives.items():
        np.testing.assert_allclose(gradients[name], derivative, rtol=1e-9, atol=1e-11, err_msg=name)


def draw_ring(count: int = 6, **attributes: Any) -> nx.DiGraph[Any]:
    graph: nx.DiGraph[Any] = nx.cycle_graph(count, create_using=nx.DiGraph)
    nx.set_node_attributes(graph, "tanh", "activation")
    for source, target in graph.edges:
        graph.edges[source, target].update(attributes)
    return graph


def test_like_nodes_are_one_population_and_like_edges_one_connection() -> None:
    graph = draw_ring(weight="scalar", tie={"group": "w", "scale": 2.0})
    graph.add_edge(0, 3, weight="scalar", tie={"group": "v", "scale": -1.0})
    model = compile_as(graph, [], [], 0)
    assert [(p.name, p.units) for p in model.network.populations] == [("units0", 6)]
    (connection,) = model.network.connections
    assert connection.pattern is not None
    assert connection.pattern.size == 7
    assert list(model.parameters) == ["ties0", "units0.bias"]
    model.parameters["w"] = 3
    model.parameters["v"] = 5
    model.parameters["4.bias"] = [7.0]
    assert model.parameters["ties0"].tolist() == [3, 5]
    assert model.parameters["units0.bias"].tolist() == [0, 0, 0, 0, 7, 0]
    assert "0->1" not in model.parameters  # tied, so that it is no parameter
    with pytest.raises(KeyError, match="no parameter 'nothing'"):
        model.parameters["nothing"]


def test_all_pairs_are_a_dense_matrix() -> None:
    graph: nx.DiGraph[Any] = nx.complete_bipartite_graph(3, 4).to_directed()
    graph.remove_edges_from([(a, b) for a, b in graph.edges if a > b])
    model = compile_as(graph, [], [], 0)
    (connection,) = model.network.connections
    assert connection.kind == "dense"
    assert model.parameters[connection.name].shape == (3, 4)
    model.parameters["2->3"] = [[9.0]]
    assert model.parameters[connection.name][2, 0] == 9


def test_edges_to_a_larger_population_start_as_they_are_called() -> None:
    graph = draw_ring()
    graph.add_node("big", units=3)
    graph.add_edge("n1", "big")
    graph.add_edge("n4", "big", delay=2)
    plain, joined = (compile_as(graph, [], [Target("big", "y")], threshold) for threshold in (1000, 0))
    assert len(joined.network.populations) < len(plain.network.populations)
    for name in ("n1->big", "n4->big"):
        np.testing.assert_array_equal(joined.parameters[name], plain.parameters[name])


def test_small_graphs_stay_as_they_are_drawn() -> None:
    graph = draw_ring(63)
    assert coalesce_units(graph).graph is graph
    assert list(coalesce_units(draw_ring(64)).graph) == ["units0"]


def test_a_drawing_without_delays_keeps_its_layers() -> None:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_edges_from([(f"{k}", f"{k + 1}") for k in range(4)], delay=0)
    graph.add_edges_from([(f"{k}", f"{k + 1}'") for k in range(4)], delay=0)
    graph.add_edges_from([(f"{k}'", f"{k + 1}'") for k in range(1, 4)], delay=0)
    model = compile_as(graph, [Clamp("0", "x")], [], 0)
    assert sorted(p.units for p in model.network.populations) == [1, 2, 2, 2, 2]


def test_forward_and_backward_rings_stay_apart() -> None:
    graph = nx.disjoint_union(draw_ring(3, delay=1), draw_ring(3, delay=-1))
    model = compile_as(graph, [], [], 0)
    assert [p.units for p in model.network.populations] == [3, 3]


def test_a_cycle_without_delay_is_told_edge_by_edge() -> None:
    graph = draw_ring(3, delay=0)
    with pytest.raises(SpecError, match=r"a cycle without delay: 2->0 \(delay 0\), 0->1 \(delay 0\)"):
        compile_as(graph, [], [], 0)


@pytest.mark.parametrize(
    ("edge", "complaint"),
    [
        (
            {"weight": "scala"},
            "edge 0->1.weight: 'scala' is not among the choices (and 5 edges like it); did you",
        ),
        (
            {"delay": 10**400},
            f"edge 0->1.delay: 1{'0' * 56}... is out of range (and 5 edges like it); write at most 1,000,000",
        ),
        ({"dealy": 2}, "edge 0->1.dealy: unknown key 'dealy' (and 5 edges like it); did you mean 'delay'?"),
        (
            {"tie": {"group": "w", "scale": 0.0}},
            "edge 0->1.tie.scale: a tie with scale 0 would fix the parameter at 0",
        ),
        ({"init": float("nan")}, "edge 0->1.init: a number here is NaN or infinite (and 5 edges like it)"),
    ],
)
def test_what_is_wrong_with_all_edges_is_said_once(edge: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        compile_as(draw_ring(**edge), [], [], 0)
    assert str(caught.value).startswith(complaint)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("edge", "complaint"),
    [
        (
            {"tie": {"group": "w", "scale": float("inf")}},
            "edge 2->3.tie.scale: it is inf; write a finite number",
        ),
        ({"init": float("inf")}, "edge 2->3.init: it is inf; write a finite number"),
        ({"weight": "dense"}, "edge 0->1.tie: group 'w' ties different shapes: 0->1 = w of shape ()"),
        ({"trainable": False}, None),
        ({"init": 3.0}, None),
    ],
)
def test_one_wrong_edge_among_many_is_named(edge: dict[str, Any], complaint: str | None) -> None:
    graph = draw_ring(weight="scalar", tie={"group": "w", "scale": 1.0}, init=2.0)
    graph.edges[2, 3].update(edge)
    if edge == {"trainable": False}:
        graph.edges[0, 1]["trainable"] = True
    with pytest.raises(SpecError) as caught:
        compile_as(graph, [], [], 0)
    message = str(caught.value)
    assert message.startswith(complaint or "edge 0->1.")
    assert "2->3" in message


def test_problems_of_populations_name_their_nodes() -> None:
    graph = draw_ring()
    nx.set_node_attributes(graph, "2 * tanh(net)", "activation")
    done = coalesce_units(graph, [], [Target((0, 3), "y", loss="binary_cross_entropy")], 0)
    with pytest.raises(SpecError) as caught:
        fold_graph(done.graph, done.inputs, done.targets)
    assert "(units0 is 0, 1, 2, ... (6 nodes))" in str(done.locate(caught.value))


def test_explain_says_which_nodes_were_put_together() -> None:
    text = compile_as(draw_ring(), [], [], 0).explain()
    assert text.startswith("single units put together:\n  units0: 0, 1, 2, ... (6 nodes)\n\nparameters:")
    assert compile_as(draw_ring(), [], [], 9).explain().startswith("parameters:")


def test_edges_of_one_name_are_told() -> None:
    graph: nx.DiGraph[Any] = nx.DiGraph([("a->b", "c"), ("a", "b->c")])
    with pytest.raises(SpecError, match="edge a->b->c: several edges have this name; rename the nodes"):
        compile_as(graph, [], [], 0)


def test_cross_entropy_takes_like_nodes_as_labels() -> None:
    model = compile_as(draw_ring(), [], [Target((4, 1, 2), "label", loss="cross_entropy", at="last")], 0)
    loss = model.losses(model.bind({"label": np.array([1, 1])}, 3))
    states = np.stack([model.run({}, 3)[node][0, -1, 0] for node in (4, 1, 2)])
    assert loss[0] == pytest.approx(np.log(np.exp(states).sum()) - states[1])


def test_inhibitory_nodes_start_and_stay_so() -> None:
    graph = draw_ring(weight="scalar")
    nx.set_node_attributes(graph, {0: "inhibitory", 2: "inhibitory"}, "sign")
    plain, joint = compile_as(graph, [], [], 100), compile_as(graph, [], [], 0)
    assert (
        {name: joint.parameters[name].item() for name in ("0->1", "1->2", "2->3")}
        == {name: plain.parameters[name].item() for name in ("0->1", "1->2", "2->3")}
        == {"0->1": -1, "1->2": 1, "2->3": -1}
    )


def test_penalties_are_those_of_the_single_weights() -> None:
    graph = draw_ring(penalty={"l2": 0.5}, init=0.7)
    nx.set_node_attributes(graph, 0.4, "initial")
    nx.set_node_attributes(graph, {node: {"l1": 0.1} for node in graph}, "penalty")
    graph.edges[0, 1].update(tie="w", penalty={"l1": 0.3})
    targets = [Target(3, "y")]
    fields = {"y": np.ones((2, 3, 1))}
    plain, joint = (compile_as(graph, [], targets, threshold) for threshold in (100, 0))
    expected, found = plain.loss_and_gradients(fields), joint.loss_and_gradients(fields)
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    for name, derivative in expected[1].items():
        np.testing.assert_allclose(found[1][name], derivative, rtol=1e-10, err_msg=name)


def test_lists_of_nodes_are_an_item_for_each_population() -> None:
    graph = draw_ring(8)
    nx.set_node_attributes(graph, dict.fromkeys(range(0, 8, 2), "logistic"), "activation")
    nodes = [5, 2, 7, 4, 3]
    inputs = [Clamp([1, 0, 7, 3, 2, 4, 5, 6], "first", at="start")]
    targets = [Target(nodes, "y"), Target(nodes, "y", at="last"), Target(6, "z")]
    plain, joint = (compile_as(graph, inputs, targets, threshold) for threshold in (100, 0))
    assert [(t.node, t.units, t.columns and t.columns.indices) for t in joint.network.targets] == [
        ("units1", (2, 3, 1), (0, 2, 4)),
        ("units0", (1, 2), (1, 3)),
        ("units1", (2, 3, 1), (0, 2, 4)),
        ("units0", (1, 2), (1, 3)),
        ("units0", (3,), None),
    ]
    rng = np.random.default_rng(0)
    fields = {"y": rng.normal(size=(2, 3, 5)), "z": np.ones((2, 3, 1)), "first": rng.normal(size=(2, 8))}
    assert [(c.node, c.units) for c in joint.network.clamps] == [
        ("units1", (0, 3, 1, 2)),
        ("units0", None),
    ]
    assert joint.loss_and_gradients(fields)[0] == pytest.approx(plain.loss_and_gradients(fields)[0])


def test_units_that_are_no_number_are_told() -> None:
    graph = draw_ring()
    graph.nodes[2]["units"] = np.array([1, 2])
    for threshold in (0, 100):
        with pytest.raises(SpecError, match=r"node 2\.units: "):
            compile_as(graph, [], [], threshold)


def test_constrained_ties_without_values_of_their_own_are_projected() -> None:
    graph = draw_ring()
    graph.nodes[0]["bias"] = {"tie": {"group": "shared", "scale": -2.0}}
    graph.nodes[1]["bias"] = {"init": 0.3}
    graph.edges[3, 4].update(weight="scalar", tie={"group": "twice", "scale": -2.0})
    graph.edges[0, 1]["init"] = 0.5
    graph.graph["constraints"] = ["0.bias + 1.bias == 0.4", "3->4 + 0->1 == 0.25"]
    plain, joint = compile_as(graph, [], [], 100), compile_as(graph, [], [], 0)
    for name in ("shared", "1.bias", "twice", "0->1"):
        np.testing.assert_allclose(joint.parameters[name], plain.parameters[name])


def test_constrained_and_named_parameters_keep_their_nodes() -> None:
    graph = draw_ring()
    graph.edges[4, 5]["tie"] = "3->4"
    graph.graph["constraints"] = ["0->1 + 1->2 == 1"]
    model = compile_as(graph, [], [], 0)
    assert {"0->1", "1->2", "3->4"} <= set(model.parameters)
    assert model.aliases.places == {}


def test_messages_about_data_name_the_nodes_of_the_user() -> None:
    model = compile_as(draw_ring(), [Clamp((0, 1, 2, 4), "x")], [Target((3, 5), "y")], 0)
    for call, shape in ((model.run, (2, 3, 5)), (model.step, (2, 5))):
        with pytest.raises(DataError, match=r"the clamp of 0, 1, 2, \.\.\. \(4 nodes\) needs"):
            call({"x": np.zeros(shape)})
    with pytest.raises(DataError, match=r"the target of 3, 5 needs"):
        model.bind({"x": np.zeros((2, 3, 4)), "y": np.zeros((2, 3, 4))})


def test_the_worst_entries_of_derivatives_are_named_by_their_nodes_and_edges() -> None:
    model = compile_as(draw_ring(weight="scalar"), [], [Target((4, 1), "y")], 0)
    fields = {"y": np.array([[0.5, 0.25]])}
    report = check_gradients(model, fields, 3, limit=1)
    named = {group.group: group for group in report.groups}
    assert set(named) == {"units0.bias", "units0->units0"}
    assert named["units0.bias"].name in {f"{node}.bias" for node in range(6)}
    assert named["units0->units0"].name in {f"{node}->{(node + 1) % 6}" for node in range(6)}
    _, gradients = model.loss_and_gradients(fields, 3)
    for group in named.values():
        assert gradients[group.name].item() == group.computed
        assert f"at {group.name}," in str(report)
