"""Ties by attributes and symmetric ties: the same network as with every tie written out, and what cannot be tied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.declaration.edge_ties.tie_edges import tie_edges
from graphbptt.errors import SpecError
from graphbptt.passes.fold_graph import fold_graph

TYPES = {"a": "E", "b": "E", "c": "I", "d": "I.left"}
EDGES: list[tuple[str, str, dict[str, Any]]] = [
    ("a", "b", {"sign": 1, "count": 3, "path": "x"}),
    ("b", "a", {"sign": 1, "count": 0.5, "path": "y"}),
    ("a", "c", {"sign": 1, "count": 1, "path": "x"}),
    ("b", "c", {"sign": 1, "count": 2, "path": "y"}),
    ("c", "a", {"sign": -1, "count": 2, "path": "x"}),
    ("c", "d", {"sign": -1, "count": 1, "path": "x"}),
    ("d", "d", {"sign": -1, "count": 4, "path": "x"}),
]


def draw(**rules: Any) -> nx.DiGraph[str]:
    graph = nx.DiGraph(**rules)
    graph.add_nodes_from((node, {"type": kind}) for node, kind in TYPES.items())
    graph.add_edges_from((source, target, dict(said)) for source, target, said in EDGES)
    return graph


def show_ties(graph: nx.DiGraph[Any]) -> dict[str, Any]:
    return {f"{source}->{target}": said["tie"] for source, target, said in graph.edges(data=True)}


def complain(graph: nx.DiGraph[Any]) -> list[str]:
    with pytest.raises(SpecError) as caught:
        tie_edges(graph)
    assert all(problem.instead for problem in caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def test_edges_with_equal_values_share_a_weight() -> None:
    tied = tie_edges(draw(ties_by=["source_type", "target_type"]))
    assert show_ties(tied) == {
        "a->b": "E:E", "b->a": "E:E", "a->c": "E:I", "b->c": "E:I", "c->a": "I:E", "c->d": "I:I_left",
        "d->d": "I_left:I_left",
    }  # fmt: skip
    assert show_ties(tie_edges(draw(ties_by=["path"]))) == {
        f"{source}->{target}": said["path"] for source, target, said in EDGES
    }


def test_factors_are_the_scale_of_the_tie() -> None:
    tied = show_ties(tie_edges(draw(ties_by=["path", "source_type"], factors=["sign", "count"])))
    assert tied["c->a"] == {"group": "x:I", "scale": -2.0}
    assert tied["d->d"] == {"group": "x:I_left", "scale": -4.0}
    assert tied["a->c"] == {"group": "x:E", "scale": 1.0}


def test_the_network_is_that_with_every_tie_written_out() -> None:
    rules = {"ties_by": ["source_type"], "factors": ["sign", "count"]}
    graph = draw(**rules)
    for _, _, said in graph.edges(data=True):
        said["init"] = 0.25
    by_hand = draw()
    for source, _, said in by_hand.edges(data=True):
        group = TYPES[source].replace(".", "_")
        scale = said.pop("sign") * said["count"]  # sign has a meaning of its own where it is no factor
        said |= {"weight": "scalar", "tie": {"group": group, "scale": scale}, "init": 0.25 * scale}
    assert fold_graph(graph) == fold_graph(by_hand)
    assert graph.graph == rules, "the user's graph is left as it is"
    assert {group.name: group.init.values for group in fold_graph(graph).groups if "." not in group.name} == {
        "E": 0.25, "I": 0.25, "I_left": 0.25,
    }  # fmt: skip


def test_starting_values_are_of_the_shared_weight() -> None:
    graph = draw(ties_by=["source_type"], factors=["sign", "count"])
    graph.edges["b", "c"]["init"] = {"normal": {"mean": 1, "std": 0.5}}
    (group,) = (group for group in fold_graph(graph).groups if group.name == "E")
    assert str(group.init) == "normal(mean=1, std=0.5)"
    graph.edges["a", "c"]["init"] = 0.5
    (complaint,) = complain(graph)
    assert "1 edges start otherwise than the group they are tied into: b->c (of E)" in complaint


def test_an_edge_keeps_a_tie_of_its_own() -> None:
    graph = draw(ties_by=["source_type"], factors=["count"])
    graph.edges["d", "d"]["tie"] = {"group": "E", "scale": -1}
    assert show_ties(tie_edges(graph))["d->d"] == {"group": "E", "scale": -1}


def test_a_factor_is_no_key_of_the_language() -> None:
    graph = draw(ties_by=["source_type"], factors=["weight"])
    for _, _, said in graph.edges(data=True):
        said["weight"] = said["count"]
    tied = tie_edges(graph)
    assert show_ties(tied)["d->d"] == {"group": "I_left", "scale": 4}
    assert tied.edges["d", "d"]["weight"] == "scalar"


def test_an_edge_and_the_edge_back_are_one() -> None:
    graph = nx.Graph([("a", "b"), ("b", "c"), ("c", "c")]).to_directed(as_view=False)
    graph.graph["ties_by"] = "symmetric"
    model = graphbptt.compile(graph, [graphbptt.Clamp("a", "x")], backend="numpy")
    assert [name for name in model.parameters if "bias" not in name] == ["a--b", "b--c", "c--c"]
    multi = nx.MultiDiGraph([("a", "b", {"delay": 2}), ("a", "b"), ("b", "a"), ("b", "a", {"delay": 2})])
    multi.graph["ties_by"] = "symmetric"
    assert [said["tie"] for _, _, said in tie_edges(multi).edges(data=True)] == [
        "a--b--2--0", "a--b--1--0", "a--b--1--0", "a--b--2--0",
    ]  # fmt: skip


def test_a_pair_is_the_same_in_any_order() -> None:
    edges = [("b", "a"), ("a", "c"), ("a", "b"), ("c", "a")]
    one, other = (nx.DiGraph(order, ties_by="symmetric") for order in (edges, edges[::-1]))
    assert fold_graph(one) == fold_graph(other)


def test_populations_share_the_transpose() -> None:
    graph = nx.DiGraph([("a", "b"), ("b", "a")], ties_by="symmetric")
    nx.set_node_attributes(graph, {"a": 2, "b": 3}, "units")
    network = fold_graph(graph)
    assert {edge.name: str(edge.weight) for edge in network.connections} == {"b->a": "a--b.T", "a->b": "a--b"}
    assert {group.name: group.shape for group in network.groups}["a--b"] == (2, 3)
    graph.add_edge("b", "b")
    (complaint,) = complain(graph)
    assert "write such symmetry as constraints: [b->b == b->b.T]" in complaint


def test_unknown_and_absent_attributes() -> None:
    (complaint,) = complain(draw(ties_by=["source_typ"]))
    assert complaint == (
        "network.ties_by: there is no attribute 'source_typ' of edges or of their ends; did you mean 'source_type'?"
    )
    graph = draw(ties_by=["source_type", "target_type", "path"])
    for node in "ac":
        del graph.nodes[node]["type"]
    graph.nodes["b"]["type"] = float("nan")
    graph.edges["a", "b"]["path"] = [1]
    assert complain(graph) == [
        "network.ties_by: source_type: 3 nodes have no 'type' that is a number or text: a, b, c; give each of them"
        " one, or write node_defaults: {type: ...}",
        "network.ties_by: target_type: 3 nodes have no 'type' that is a number or text: b, c, a; give each of them"
        " one, or write node_defaults: {type: ...}",
        "network.ties_by: 1 edges have no 'path' that is a number or text: a->b; give each of them one, or write"
        " edge_defaults: {path: ...}",
    ]


def test_factors_that_are_none() -> None:
    (complaint,) = complain(draw(ties_by=["path"], factors=["cuont"]))
    assert "network.factors: no edge has an attribute 'cuont'; did you mean 'count'?" in complaint
    (complaint,) = complain(draw(ties_by=["path"], factors=["path"]))
    assert "'path' is no finite number at 7 edges: a->b ('x'), a->c ('x'), b->a ('y')" in complaint
    assert complaint.count("->") == 5
    graph = draw(ties_by=["path"], factors=["count"])
    graph.edges["a", "b"]["count"] = 0
    assert "multiply to 0 or to no finite number at 1 edges: a->b;" in complain(graph)[0]
    graph.edges["a", "b"]["count"] = 10**400
    assert "'count' is no finite number at 1 edges: a->b" in complain(graph)[0]


def test_factors_may_be_whole_numbers_of_any_size() -> None:
    graph = draw(ties_by=["path"], factors=["count"])
    graph.edges["a", "b"]["count"] = 10**30
    assert show_ties(tie_edges(graph))["a->b"] == {"group": "x", "scale": 1e30}


def test_a_starting_value_that_no_float_holds_is_told() -> None:
    graph = draw(ties_by=["path"])
    graph.edges["a", "b"]["init"] = 10**400
    with pytest.raises(SpecError, match=r"edge a->b\.init: "):
        fold_graph(tie_edges(graph))


def test_symmetric_ties_that_the_graph_contradicts() -> None:
    (complaint,) = complain(draw(ties_by="symmetric"))
    assert "an edge back, which 2 edges lack: b->c, c->d; add these edges" in complaint
    graph = nx.DiGraph([("a", "b", {"n": 1}), ("b", "a", {"n": 2})], ties_by="symmetric", factors=["n"])
    (complaint,) = complain(graph)
    assert "equal factors, which 2 edges have not: a->b (1 and 2 back), b->a (2 and 1 back)" in complaint
    star = nx.DiGraph([("hub", str(leaf)) for leaf in range(9)], ties_by="symmetric")
    (complaint,) = complain(star)
    assert "which 9 edges lack: hub->0, hub->1, hub->2, hub->3, hub->4, ...; add" in complaint


def test_groups_that_would_have_one_name() -> None:
    graph = draw(ties_by=["source_type"])
    graph.nodes["c"]["type"] = "I_left"
    (complaint,) = complain(graph)
    assert "the groups of (I_left) and of (I.left) would both be called 'I_left'" in complaint


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        (
            {"ties_by": "symetric"},
            "network.ties_by: unknown way to tie 'symetric'; did you mean 'symmetric'?",
        ),
        ({"ties_by": []}, "network.ties_by: [] is no list of attributes"),
        (
            {"ties_by": ["path", "path"]},
            "network.ties_by: ['path', 'path'] does not name distinct attributes",
        ),
        ({"ties_by": [1]}, "network.ties_by: [1] does not name distinct attributes"),
        ({"factors": ["count"]}, "network: factors scale weights that are shared, and none are"),
    ],
)
def test_rules_that_are_none(rules: dict[str, Any], complaint: str) -> None:
    assert complain(draw(**rules))[0].startswith(complaint)


def test_ties_of_a_table(tmp_path: Path) -> None:
    lines = ["pre,post,sign,weight", *(f"{a},{b},{said['sign']},{said['count']}" for a, b, said in EDGES)]
    (tmp_path / "edges.csv").write_text("\n".join(lines))
    (tmp_path / "nodes.csv").write_text("\n".join(["node,type", *(f"{a},{b}" for a, b in TYPES.items())]))
    path = tmp_path / "spec.yaml"
    text = (
        "network:\n  graph: edges.csv\n  columns: {source: pre, target: post}\n  node_table: nodes.csv\n"
        "  ties_by: [source_type, target_type]\n  factors: [sign, weight]\n  edge_defaults: {init: 0.1}\n"
        "inputs: {a: {field: x}}\n"
    )
    path.write_text(text)
    model = graphbptt.load(path).compile(dtype="float64")
    shared = {name: float(value) for name, value in model.parameters.items() if ":" in name}
    assert shared == pytest.approx(dict.fromkeys(["E:E", "E:I", "I:E", "I:I_left", "I_left:I_left"], 0.1))
    states = model.run({"x": np.array([[[1.0], [0.0]]])})
    assert states["b"][0, 1, 0] == pytest.approx(0.3)
    path.write_text(text.replace("source_type", "source_typ"))
    with pytest.raises(
        SpecError, match=r"spec.yaml:5:3: network.ties_by: there is no attribute 'source_typ'"
    ):
        graphbptt.load(path)
