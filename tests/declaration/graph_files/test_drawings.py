"""Graphs in the files of drawing programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.errors import SpecError


def draw() -> nx.DiGraph[str]:
    graph = nx.DiGraph()
    graph.add_node("x", colour="red")
    graph.add_node("h", activation="tanh", bias=False)
    graph.add_edge("x", "h", delay=2, weight=0.5, label="strong")
    graph.add_edge("h", "h", weight=-0.25)
    return graph


def write_spec(folder: Path, name: str, more: str = "") -> Path:
    path = folder / "spec.yaml"
    path.write_text(f"network: {{graph: {name}{more}}}\ninputs: {{x: {{field: x}}}}\n")
    return path


def read_problem(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        graphbptt.load(path)
    assert caught.value.problems[0].place is not None
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.graphml", "a.gml", "a.json"])
def test_a_file_is_the_same_network_as_the_graph(tmp_path: Path, name: str) -> None:
    graph = draw()
    if name == "a.graphml":
        nx.write_graphml(graph, tmp_path / name)
    elif name == "a.gml":
        nx.write_gml(graph, tmp_path / name, stringizer=str)
    else:
        nodes = [{"id": node, **data} for node, data in graph.nodes(data=True)]
        links = [{"source": u, "target": v, **data} for u, v, data in graph.edges(data=True)]
        (tmp_path / name).write_text(json.dumps({"directed": True, "nodes": nodes, "links": links}))
    text = ", node_defaults: {bias: false}" if name == "a.gml" else ""
    model = graphbptt.load(write_spec(tmp_path, name, text)).compile(dtype="float64")
    states = model.run({"x": np.array([[[1.0], [0.0], [0.0], [0.0]]])})["h"][0, :, 0]
    first = np.tanh(0.5)
    assert states == pytest.approx([0, 0, first, np.tanh(-0.25 * first)])


def test_what_a_file_says_stands_before_the_defaults(tmp_path: Path) -> None:
    nx.write_graphml(draw(), tmp_path / "a.graphml")
    more = ", node_defaults: {activation: logistic}, edge_defaults: {delay: 3}"
    spec = graphbptt.load(write_spec(tmp_path, "a.graphml", more))
    assert {node: spec.graph.nodes[node]["activation"] for node in spec.graph} == {
        "x": "logistic",
        "h": "tanh",
    }
    assert [data["delay"] for _, _, data in spec.graph.edges(data=True)] == [2, 3]


@pytest.mark.parametrize("name", ["a.graphml", "a.json"])
def test_an_undirected_edge_becomes_two(tmp_path: Path, name: str) -> None:
    if name == "a.graphml":
        nx.write_graphml(nx.Graph([("x", "y"), ("x", "x")]), tmp_path / name)
    else:
        edges = [{"source": "x", "target": end} for end in "yx"]
        (tmp_path / name).write_text(json.dumps({"nodes": [{"id": "x"}, {"id": "y"}], "edges": edges}))
    graph = graphbptt.load(write_spec(tmp_path, name)).graph
    assert sorted(graph.edges()) == [("x", "x"), ("x", "y"), ("y", "x")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_before_they_are_parsed(tmp_path: Path, encoding: str) -> None:
    bomb = "".join(f'<!ENTITY b{k} "{f"&b{k - 1};" * 10}">' for k in range(1, 30))
    text = f'<?xml version="1.0"?><!DOCTYPE g [<!ENTITY b0 "ha">{bomb}]><graphml>&b29;</graphml>'
    (tmp_path / "a.graphml").write_bytes(text.encode(encoding))
    assert "declares entities" in read_problem(write_spec(tmp_path, "a.graphml"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "no such file" in read_problem(write_spec(tmp_path, "none.gml"))
    assert "unknown kind" in read_problem(write_spec(tmp_path, "a.dot"))
    (tmp_path / "a.json").write_text("[1, 2]")
    assert "holds no graph" in read_problem(write_spec(tmp_path, "a.json"))
    (tmp_path / "a.gml").write_text("graph [")
    assert "holds no graph" in read_problem(write_spec(tmp_path, "a.gml"))
    (tmp_path / "a.gml").write_text("graph [ directed 1 ]")
    assert "has no nodes" in read_problem(write_spec(tmp_path, "a.gml"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1], "it is no mapping with nodes and edges"),
        ({"links": []}, "there are no nodes in it"),
        ({"nodes": []}, "there are no links or edges in it"),
        ({"nodes": 3, "links": []}, "its nodes are no list of mappings"),
        ({"nodes": [{"name": "x"}], "edges": []}, "the node 0 has no id that is a number or text"),
        ({"nodes": [{"id": [1]}], "edges": []}, "the node 0 has no id that is a number or text"),
        (
            {"nodes": [{"id": "x"}], "edges": [{"source": "x"}]},
            "the edge 0 has no target that is a number or text",
        ),
    ],
)
def test_json_that_is_no_graph(tmp_path: Path, content: Any, said: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert f"holds no graph that can be read: {said}" in read_problem(write_spec(tmp_path, "a.json"))


KEYS = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="d" for="edge" attr.name="delay" attr.type="int"/>
<key id="b" for="node" attr.name="bias" attr.type="boolean"/>
<graph edgedefault="directed">
"""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            '<node id="x"/><node id="y"/>\n<edge source="x" target="y">\n<data key="d">x</data></edge>',
            "a.graphml:7:1: edge x->y.delay: 'x' is not a whole number",
        ),
        (
            '<node id="x"><data key="b">maybe</data></node>',
            "a.graphml:5:14: node x.bias: 'maybe' is not true",
        ),
        (
            '<edge source="x" target="hiden"/>\n<node id="x"/><node id="hidden"/>',
            "a.graphml:5:1: edge x->hiden: the node 'hiden' is declared nowhere in the file; "
            "write <node id=\"hiden\"/>; did you mean 'hidden'?",
        ),
    ],
)
def test_mistakes_in_graphml_have_their_line(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.graphml").write_text(f"{KEYS}{content}</graph></graphml>")
    assert said in read_problem(write_spec(tmp_path, "a.graphml"))


def test_nodes_of_graphml_may_stand_behind_their_edges(tmp_path: Path) -> None:
    edge = '<edge source="x" target="y"><data key="d"> 3 </data></edge><node id="x"/><node id="y"/>'
    (tmp_path / "a.graphml").write_text(f"{KEYS}{edge}</graph></graphml>")
    graph = graphbptt.load(write_spec(tmp_path, "a.graphml")).graph
    assert graph.edges["x", "y", 0]["delay"] == 3
    assert sorted(graph) == ["x", "y"]


@pytest.mark.parametrize("direction", ["directed", "undirected"])
def test_keys_of_graphml_have_defaults(tmp_path: Path, direction: str) -> None:
    keys = KEYS.replace('"int"/>', '"int"><default>2</default></key>').replace("directed", direction)
    keys = keys.replace('"boolean"/>', '"boolean"><default>false</default></key>')
    content = (
        '<node id="x"><data key="b">true</data></node><node id="y"/><node id="z"/>'
        '<edge source="x" target="y"/><edge source="y" target="z"><data key="d">3</data></edge>'
    )
    (tmp_path / "a.graphml").write_text(f"{keys}{content}</graph></graphml>")
    graph = graphbptt.load(write_spec(tmp_path, "a.graphml")).graph
    assert dict(graph.nodes(data="bias")) == {"x": True, "y": False, "z": False}
    assert graph.edges["x", "y", 0]["delay"] == 2
    assert graph.edges["y", "z", 0]["delay"] == 3
    assert (direction == "undirected") == graph.has_edge("y", "x")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("edge_defaults: {dely: 3}", "unknown key 'dely'; did you mean 'delay'?"),
        ("node_defaults: {activaton: tanh}", "unknown key 'activaton'; did you mean 'activation'?"),
    ],
)
def test_misspelt_defaults(tmp_path: Path, more: str, said: str) -> None:
    nx.write_graphml(draw(), tmp_path / "a.graphml")
    assert said in read_problem(write_spec(tmp_path, "a.graphml", f", {more}"))


@pytest.mark.parametrize("name", ["sgn", "weights"])
def test_a_factor_is_no_misspelt_key(tmp_path: Path, name: str) -> None:
    graph = nx.DiGraph()
    graph.add_edge("x", "h", type="a", **{name: 2.0})
    graph.add_edge("h", "h", type="a", **{name: -1.0})
    nx.write_graphml(graph, tmp_path / "a.graphml")
    more = f", ties_by: [type], factors: [{name}], edge_defaults: {{init: 0.5}}"
    parameters = graphbptt.load(write_spec(tmp_path, "a.graphml", more)).compile().parameters
    assert parameters["a"].item() == pytest.approx(0.5)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    graph = draw()
    graph.edges["h", "h"]["weight"] = float("inf")
    nx.write_graphml(graph, tmp_path / "a.graphml")
    assert "the weight inf is no finite number" in read_problem(write_spec(tmp_path, "a.graphml"))


def test_keys_that_do_not_go_with_a_file(tmp_path: Path) -> None:
    assert "unknown key 'node'; did you mean" in read_problem(
        write_spec(tmp_path, "a.gml", ", node: {x: {}}")
    )


def test_a_spec_adds_to_the_graph_of_a_file(tmp_path: Path) -> None:
    nx.write_graphml(draw(), tmp_path / "a.graphml")
    more = (
        ", edge_defaults: {delay: 3}, ties_by: [label], nodes: {h: {activation: relu, bias: true}, y: {units: 2}},"
        " edges: [{from: h, to: y}, {from: h, to: h, delay: 4}]"
    )
    graph = draw()
    graph.edges["h", "h"]["label"] = "weak"
    nx.write_graphml(graph, tmp_path / "a.graphml")
    spec = graphbptt.load(write_spec(tmp_path, "a.graphml", more))
    assert dict(spec.graph.nodes(data=True)) == {
        "x": {"colour": "red"},
        "h": {"activation": "relu", "bias": True},
        "y": {"units": 2},
    }
    told = {(a, b, said.get("delay", 1)): said.get("tie") for a, b, said in spec.graph.edges(data=True)}
    assert told == {("x", "h", 2): "strong", ("h", "h", 3): "weak", ("h", "y", 1): None, ("h", "h", 4): None}
    assert set(spec.compile().parameters) == {"strong", "weak", "h->y", "h->h@4", "h.bias", "y.bias"}


def test_mistakes_in_what_a_spec_adds(tmp_path: Path) -> None:
    nx.write_graphml(draw(), tmp_path / "a.graphml")
    complaint = read_problem(write_spec(tmp_path, "a.graphml", ", edges: [{from: h, to: z}]"))
    assert "spec.yaml:1:51: network.edges[0].to: unknown node 'z'" in complaint
    more = ", nodes: {y: {activation: x}}, edges: [{from: y, to: h, init: [1, 2]}]"
    with pytest.raises(SpecError, match=r"spec.yaml:1:\d+: edge y->h.init: starting values of shape \(2,\)"):
        graphbptt.load(write_spec(tmp_path, "a.graphml", more)).compile()


def test_what_the_passes_find_has_its_line_in_graphml(tmp_path: Path) -> None:
    graph = draw()
    graph.nodes["h"]["activation"] = "tanj"
    nx.write_graphml(graph, tmp_path / "a.graphml")
    lines = (tmp_path / "a.graphml").read_text().splitlines()
    node = next(number for number, line in enumerate(lines, start=1) if '<node id="h">' in line)
    with pytest.raises(SpecError, match=rf"a.graphml:{node}:1: node h.activation: unknown activation 'tanj'"):
        graphbptt.load(write_spec(tmp_path, "a.graphml")).compile()
    undirected = nx.MultiGraph([("x", "y"), ("x", "y")])
    undirected.add_edge("y", "z", delay=0)
    nx.write_graphml(undirected, tmp_path / "a.graphml")
    lines = (tmp_path / "a.graphml").read_text().splitlines()
    edge = next(number for number, line in enumerate(lines, start=1) if 'target="z"' in line)
    with pytest.raises(SpecError, match=rf"a.graphml:{edge}:1: edge (y->z|z->y): "):
        graphbptt.load(write_spec(tmp_path, "a.graphml")).compile()


def test_a_place_is_that_of_the_file_where_lines_are_not_known(tmp_path: Path) -> None:
    nodes = [{"id": "x"}, {"id": "h", "activation": "tanj"}]
    edges = [{"source": "x", "target": "h", "key": 7}, {"source": "x", "target": "h", "key": 8}]
    (tmp_path / "a.json").write_text(json.dumps({"directed": True, "nodes": nodes, "edges": edges}))
    spec = graphbptt.load(write_spec(tmp_path, "a.json"))
    assert list(spec.graph.edges(keys=True)) == [("x", "h", 7), ("x", "h", 8)]
    with pytest.raises(SpecError, match=r"spec.yaml:1:18: node h.activation: unknown activation 'tanj'"):
        spec.compile()


def test_attributes_that_a_file_calls_otherwise(tmp_path: Path) -> None:
    graph = nx.DiGraph([("x", "h", {"sign": -1, "strength": 0.5})])
    nx.set_node_attributes(graph, {"x": "AVAL", "h": "AVAR"}, "cell")
    nx.write_graphml(graph, tmp_path / "a.graphml")
    more = ", node_columns: {neuron: cell}, columns: {polarity: sign, weight: strength}"
    spec = graphbptt.load(write_spec(tmp_path, "a.graphml", more))
    assert dict(spec.graph.nodes(data=True)) == {"x": {"neuron": "AVAL"}, "h": {"neuron": "AVAR"}}
    assert list(spec.graph.edges(data=True)) == [("x", "h", {"polarity": -1, "init": 0.5})]
    complaint = read_problem(write_spec(tmp_path, "a.graphml", ", columns: {weight: strenght}"))
    assert (
        "network.columns.weight: nothing in the file has an attribute 'strenght'; did you mean" in complaint
    )
