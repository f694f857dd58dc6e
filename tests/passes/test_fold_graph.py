"""networkx graphs -> folded networks: names, shapes, defaults, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.sparse

from graphbptt.errors import SpecError
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import Wire
from graphbptt.ir.parameters import FrozenArray, Group, Initializer, Use
from graphbptt.passes.fold_graph import fold_graph

Attributes = dict[str, Any]


def draw(nodes: dict[str, Attributes], *edges: tuple[str, str, Attributes]) -> nx.MultiDiGraph[str]:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for node, attributes in nodes.items():
        graph.add_node(node, **attributes)
    for source, target, attributes in edges:
        graph.add_edge(source, target, **attributes)
    return graph


def complaints(graph: Any, inputs: Sequence[Clamp] = (), targets: Sequence[Target] = ()) -> list[str]:
    with pytest.raises(SpecError) as caught:
        fold_graph(graph, inputs, targets)
    return [str(problem) for problem in caught.value.problems]


def test_gated_network(golden: Callable[[str, str], None]) -> None:
    gates = {
        name: {"units": 4, "activation": "logistic", "bias": {"init": 1.0}}
        for name in ("forget", "write", "show")
    }
    nodes = {
        "x": {"units": 3},
        **gates,
        "candidate": {"units": 4, "activation": "tanh"},
        "cell": {"units": 4, "activation": "forget * cell[t-1] + write * candidate", "initial": "learned"},
        "h": {"units": 4, "activation": "show * tanh(cell)"},
        "y": {"units": 2},
    }
    edges = [("x", name, {"delay": 0}) for name in (*gates, "candidate")]
    edges += [("h", name, {"init": {"normal": {"std": 0.1}}}) for name in (*gates, "candidate")]
    edges += [("h", "y", {"delay": 0})]
    network = fold_graph(
        draw(nodes, *edges), [Clamp("x", "x")], [Target("y", "label", "cross_entropy", at="last")]
    )
    golden("folded_gates", str(network))


def test_any_digraph_is_a_network() -> None:
    graph = nx.gnp_random_graph(6, 0.5, seed=1, directed=True)
    network = fold_graph(graph)
    assert [population.name for population in network.populations] == list("012345")
    assert {(c.source, c.target) for c in network.connections} == {(str(u), str(v)) for u, v in graph.edges}
    assert {connection.delay for connection in network.connections} == {1}


def test_order_of_declaration_does_not_matter() -> None:
    nodes = {"a": {"units": 2}, "b": {"coefficients": {"k": 1, "j": 2}, "activation": "k * j * net"}}
    edges = [("a", "b", {}), ("b", "a", {"delay": 2}), ("b", "b", {"delay": 1}), ("b", "b", {"delay": 3})]
    forward, backward = draw(nodes, *edges), draw(dict(reversed(nodes.items())), *reversed(edges))
    assert fold_graph(forward) == fold_graph(backward)
    assert hash(fold_graph(forward)) == hash(fold_graph(backward))


def test_numpy_attributes_mean_the_same() -> None:
    plain = draw(
        {"a": {"units": 3, "bias": [1, 2, 3]}},
        ("a", "a", {"delay": 2, "init": [[1.5], [2]], "from_units": [0, 2], "to_units": [1]}),
    )
    arrays = draw(
        {"a": {"units": np.int64(3), "bias": np.arange(1, 4)}},
        (
            "a",
            "a",
            {
                "delay": np.int32(2),
                "init": np.array([[1.5], [2]]),
                "from_units": np.array([0, 2]),
                "to_units": range(1, 2),
            },
        ),
    )
    assert fold_graph(plain) == fold_graph(arrays)


@pytest.mark.parametrize(
    ("edges", "names"),
    [
        ([{}], ["a->b"]),
        ([{"delay": 1}, {"delay": 2}], ["a->b@1", "a->b@2"]),
        ([{}, {}], ["a->b#0", "a->b#1"]),
        ([{"delay": -1}, {"delay": 2}, {"delay": 2}], ["a->b@-1", "a->b@2#1", "a->b@2#2"]),
        ([{"key": "fast"}, {"key": "slow"}], ["a->b#fast", "a->b#slow"]),
    ],
)
def test_names_of_edges(edges: list[Attributes], names: list[str]) -> None:
    network = fold_graph(draw({"a": {}, "b": {}}, *(("a", "b", attributes) for attributes in edges)))
    assert [connection.name for connection in network.connections] == names
    assert {connection.weight for connection in network.connections} == {Use(name) for name in names}


@pytest.mark.parametrize(
    ("weight", "shape", "init"),
    [
        ("dense", (2, 3), Initializer("glorot", (("gain", 1.0),))),
        ("one_to_one", (2,), FrozenArray(1.0)),
        ("scalar", (), FrozenArray(1.0)),
    ],
)
def test_kinds_of_connections(weight: str, shape: tuple[int, ...], init: Any) -> None:
    part = {} if weight == "dense" else {"to_units": [0, 1]}
    network = fold_graph(draw({"a": {"units": 2}, "b": {"units": 3}}, ("a", "b", {"weight": weight, **part})))
    assert network.group["a->b"] == Group("a->b", shape, init)


def test_wire_has_no_weight() -> None:
    network = fold_graph(draw({"a": {}, "b": {}}, ("a", "b", {"weight": "wire"})))
    assert network.connections[0].weight is None
    assert network.groups == ()


@pytest.mark.parametrize(
    ("bias", "weight", "learned"),
    [
        (None, "dense", True),
        (None, "wire", False),
        (False, "dense", False),
        (True, "wire", True),
        (0.5, "wire", True),
    ],
)
def test_bias(bias: Any, weight: str, learned: bool) -> None:
    attributes = {} if bias is None else {"bias": bias}
    network = fold_graph(draw({"a": {}, "b": attributes}, ("a", "b", {"weight": weight})))
    assert (network.population["b"].bias is not None) is learned
    if learned:
        assert network.group["b.bias"].init == FrozenArray(0.5 if bias == 0.5 else 0.0)
    assert network.population["a"].bias is None


def test_history_counts_every_way_of_reading() -> None:
    nodes = {name: {} for name in "abcd"} | {"e": {"activation": "d[t-2] + c[t+5] + a"}}
    network = fold_graph(
        draw(nodes, ("a", "b", {"delay": 3}), ("b", "c", {"delay": -4}), ("a", "a", {"delay": 0}))
    )
    assert {p.name: p.history for p in network.populations} == {"a": 3, "b": 4, "c": 5, "d": 2, "e": 1}
    assert network.wires == (Wire("a", "e", 0), Wire("c", "e", -5), Wire("d", "e", 2))


@pytest.mark.parametrize(
    ("initial", "shape"),
    [("learned", (2, 3)), ({"init": [1, 2, 3]}, (2, 3)), ({"init": [[0] * 3] * 2}, (2, 3))],
)
def test_learned_initial_state_has_a_row_per_step_of_history(initial: Any, shape: tuple[int, ...]) -> None:
    network = fold_graph(draw({"h": {"units": 3, "initial": initial}}, ("h", "h", {"delay": 2})))
    assert network.group["h.initial"].shape == shape


def test_whole_population_in_order_is_no_part() -> None:
    network = fold_graph(
        draw({"a": {"units": 2}}, ("a", "a", {"from_units": [0, 1], "to_units": {"stop": 2}})),
        [Clamp("a", "x", units=(0, 1), at="start")],
        [Target("a", "y", units=(1, 0))],
    )
    assert (network.connections[0].from_units, network.connections[0].to_units) == (None, None)
    assert network.clamps[0].units is None
    assert network.targets[0].units == (1, 0)


def test_what_arrives_at_given_states_is_no_mistake() -> None:
    graph = draw({"a": {}, "b": {"activation": "a", "bias": True}}, ("a", "b", {}))
    assert fold_graph(graph, [Clamp("b", "x")]).given == {"b"}
    assert len(complaints(graph)) == 2
    assert len(complaints(graph, [Clamp("b", "x", mask="m")])) == 2


def test_attributes_outside_the_language_say_nothing() -> None:
    kept = {"type": "sensory", "label": 3, "colour": "red", "x": 0.5, "name": None, "count": 7}
    plain = {"a": {"units": 2}, "b": {"cell": {"rnn": {}}}}
    labelled = {node: {**attributes, **kept} for node, attributes in plain.items()}
    edges = ("a", "a", {"delay": 2}), ("a", "b", {})
    spoken = [(*ends, {**attributes, **kept}) for *ends, attributes in edges]
    assert fold_graph(draw(labelled, *spoken)) == fold_graph(draw(plain, *edges))


@pytest.mark.parametrize(
    ("nodes", "edges", "complaint"),
    [
        ({"a": {"units": 0}}, [], "node a.units: 0 is out of range; write at least 1"),
        ({"a": {"units": True}}, [], "node a.units: true cannot stand here; write a whole number"),
        ({"a": {"unit": 2}}, [], "node a.unit: unknown key 'unit'; did you mean 'units'?"),
        (
            {"a": {}},
            [{"wieght": 1}],
            "edge a->a.wieght: unknown key 'wieght'; did you mean 'weight'?",
        ),
        ({"a": {"activation": "b[t-1]"}}, [], "node a.activation: unknown name 'b' at column 1"),
        ({"a": {"activation": 3}}, [], "node a.activation: 3 is no activation; write the name of a function"),
        ({"a": {"initial": [np.nan]}}, [], "node a.initial: a number here is NaN or infinite"),
        ({"a": {"initial": [[1], [1, 2]]}}, [], "node a.initial: the rows of this list differ in length"),
        ({"a": {"initial": ["x"]}}, [], "node a.initial: this list does not hold numbers alone"),
        (
            {"a": {"initial": [1, 2]}},
            [],
            "node a.initial: values of shape (2,); write one number, or values of shape",
        ),
        (
            {"a": {"coefficients": {"k": {}}, "activation": "k * net"}},
            [],
            "node a.coefficients.k.init: a learned coefficient has no starting",
        ),
        (
            {"a": {"coefficients": {"k": [1, 2]}, "activation": "k * net"}},
            [],
            "node a.coefficients.k: values of shape (2,)",
        ),
        (
            {"a": {"coefficients": {"k": 1, "j": {"init": 2}}, "activation": "k * net"}},
            [],
            "node a.coefficients.j: the activation of a does not read it; use j in the activation, or leave it",
        ),
        ({"a": {"coefficients": {"a": 1}}}, [], "node a.coefficients.a: 'a' is the name of a node"),
        (
            {"a": {"coefficients": {"tanh": 1}}},
            [],
            "node a.coefficients.tanh: 'tanh' has a meaning of its own",
        ),
        ({"a": {"coefficients": {"t": 1}}}, [], "node a.coefficients.t: 't' has a meaning of its own"),
        (
            {"a": {"coefficients": {"lambda": 1}}},
            [],
            "node a.coefficients.lambda: 'lambda' cannot be written",
        ),
        (
            {"a": {"coefficients": {"bias": 1}}},
            [],
            "node a.coefficients.bias: 'bias' is the name of the node's bias",
        ),
        (
            {"a": {"activation": "tanh(b)"}, "b": {"units": 2}},
            [],
            "node a.activation: it reads b, 2 units, into 1",
        ),
        ({"a": {"activation": "1", "bias": 3}}, [], "node a.bias: a bias adds to the net input, which"),
        (
            {"a": {"activation": "1"}},
            [{}],
            "edge a->a: it adds to the net input of a, whose activation does not",
        ),
        (
            {"a": {}},
            [{"weight": scipy.sparse.eye_array(1)}],
            "edge a->a.weight: a matrix is no kind of connection; write weight: {sparse: {mask: the matrix}}",
        ),
        ({"a": {}}, [{"weight": 0.5}], "edge a->a.weight: weight names a kind of connection; write starting"),
        (
            {"a": {}},
            [{"weight": "dens"}],
            "edge a->a.weight: 'dens' is not among the choices; did you mean 'dense'?",
        ),
        ({"a": {}}, [{"delay": 1.0}], "edge a->a.delay: 1.0 cannot stand here; write a whole number"),
        ({"a": {}}, [{"delay": 10**7}], "edge a->a.delay: 10000000 is out of range; write at most 1,000,000"),
        (
            {"a": {}},
            [{"weight": "wire", "tie": "W"}],
            "edge a->a: a wire has no weight, so tie means nothing",
        ),
        ({"a": {}}, [{"init": {"normal": {"std": -1}}}], "edge a->a.init: normal: std is negative"),
        ({"a": {}}, [{"init": {"uniform": {"low": 2}}}], "edge a->a.init: uniform: low is above high"),
        (
            {"a": {}},
            [{"init": {"normal": 1}}],
            "edge a->a.init: the numbers of normal have names; write {normal:",
        ),
        (
            {"a": {}},
            [{"init": {"normal": {"std": True}}}],
            "edge a->a.init: std of normal is True; write a finite",
        ),
        ({"a": {}}, [{"init": "norml"}], "edge a->a.init: unknown init 'norml'; did you mean 'normal'?"),
        ({"a": {}}, [{"init": {}}], "edge a->a.init: an init names one distribution"),
        (
            {"a": {}},
            [{"init": [1, 2]}],
            "edge a->a.init: starting values of shape (2,) for a parameter of shape (1, 1)",
        ),
        (
            {"a": {"units": 2}},
            [{"from_units": [2]}],
            "edge a->a.from_units: unit 2 of 2; write units from 0 to 1",
        ),
        (
            {"a": {"units": 2}},
            [{"to_units": [0, 0]}],
            "edge a->a.to_units: unit 0 is listed twice; list it once",
        ),
        (
            {"a": {"units": 2}},
            [{"to_units": [0.5]}],
            "edge a->a.to_units: 0.5 is no unit; units are whole numbers",
        ),
        (
            {"a": {"units": 2}},
            [{"to_units": []}],
            "edge a->a.to_units: no units are listed; list at least one",
        ),
        (
            {"a": {"units": 2}},
            [{"to_units": 1}],
            "edge a->a.to_units: 1 is no list of units; write a list such as",
        ),
        ({"a": {"units": 2}}, [{"to_units": {"start": 2}}], "edge a->a.to_units: no units are listed"),
        (
            {"a": {"units": 2}},
            [{"from_units": [1], "weight": "one_to_one"}],
            "edge a->a: a one_to_one connection joins unit to unit, here 1 to 2; write weight: dense",
        ),
    ],
)
def test_mistakes(nodes: dict[str, Attributes], edges: list[Attributes], complaint: str) -> None:
    (found,) = complaints(draw(nodes, *(("a", "a", attributes) for attributes in edges)))
    assert found.startswith(complaint)


@pytest.mark.parametrize(
    ("graph", "complaint"),
    [
        (
            nx.Graph([(1, 2)]),
            "network: a networkx DiGraph is needed, not a networkx Graph; an undirected graph becomes",
        ),
        ("digraph", "network: a networkx DiGraph is needed, not a builtins str"),
        (nx.DiGraph(), "network: it has no nodes; add at least one"),
        (nx.DiGraph([(1, "1")]), "node 1: several nodes have this name as their str; rename them"),
        (
            nx.DiGraph([("a", "b->c"), ("a->b", "c")]),
            "edge a->b->c: several edges have this name; rename the nodes, or give the edges keys that differ as text",
        ),
    ],
)
def test_what_is_no_network(graph: Any, complaint: str) -> None:
    (found,) = complaints(graph)
    assert found.startswith(complaint)


def test_all_problems_are_reported_at_once() -> None:
    graph = draw(
        {"a": {"initial": [1, 2]}, "b": {"activation": "tanh", "units": 2}},
        ("a", "b", {"init": [1]}),
        ("b", "b", {"tie": "a->c"}),
    )
    targets = [Target("c", "y"), Target("b", "y", "binary_cross_entropy")]
    assert len(complaints(graph, [Clamp("a", "x", units=(1,))], targets)) == 6


def test_large_network_folds_in_time_proportional_to_its_edges() -> None:
    graph = nx.gnm_random_graph(1_000, 10_000, seed=0, directed=True)
    network = fold_graph(graph)
    assert len(network.connections) == len(network.groups) - len(network.populations) == 10_000
