"""Edge lists and tables of nodes: what they mean, and every mistake at its line and column."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.errors import Place, SpecError

EDGES = "source,target,weight,delay,colour\nx,h,0.5,2,red\nh,h,-0.25,,\n"
NODES = "node,activation,bias,layer\nx,,false,1\nh,tanh,false,2\n"


def write_spec(folder: Path, more: str = "", graph: str = "edges.csv") -> Path:
    path = folder / "spec.yaml"
    path.write_text(f"network: {{graph: {graph}{more}}}\ninputs: {{x: {{field: x}}}}\n")
    return path


def read(folder: Path, edges: str, more: str = "", nodes: str | None = None) -> graphbptt.Spec:
    (folder / "edges.csv").write_text(edges)
    if nodes is not None:
        (folder / "nodes.csv").write_text(nodes)
        more += ", node_table: nodes.csv"
    return graphbptt.load(write_spec(folder, more))


def test_a_table_is_the_network_that_it_lists(tmp_path: Path) -> None:
    spec = read(tmp_path, EDGES, nodes=NODES)
    written = nx.MultiDiGraph()
    written.add_node("x", bias=False, layer=1)
    written.add_node("h", activation="tanh", bias=False, layer=2)
    written.add_edge("x", "h", init=0.5, delay=2, colour="red")
    written.add_edge("h", "h", init=-0.25)
    assert dict(spec.graph.nodes(data=True)) == dict(written.nodes(data=True))
    assert list(spec.graph.edges(data=True)) == list(written.edges(data=True))
    states = spec.compile(dtype="float64").run({"x": np.array([[[1.0], [0.0], [0.0], [0.0]]])})["h"]
    assert states[0, :, 0] == pytest.approx([0, 0, np.tanh(0.5), np.tanh(-0.25 * np.tanh(0.5))])


def test_columns_of_other_names_and_defaults(tmp_path: Path) -> None:
    (tmp_path / "edges.tsv").write_text("pre\tpost\tn_syn\tage\nx\th\t3\t\nh\tx\t4\t007\n")
    (tmp_path / "neurons.tsv").write_text("id\tcell class\n x \tsensory\nh\t\n")
    more = (
        ", columns: {source: pre, target: post, count: n_syn}, node_table: neurons.tsv,"
        " node_columns: {node: id, type: cell class}, node_defaults: {bias: false, type: other},"
        " edge_defaults: {delay: 2, age: old}"
    )
    graph = graphbptt.load(write_spec(tmp_path, more, "edges.tsv")).graph
    assert dict(graph.nodes(data=True)) == {
        "x": {"type": "sensory", "bias": False},
        "h": {"type": "other", "bias": False},
    }
    assert list(graph.edges(data=True)) == [
        ("x", "h", {"count": 3, "delay": 2, "age": "old"}),
        ("h", "x", {"count": 4, "delay": 2, "age": "007"}),
    ]


def test_keys_and_delays_tell_edges_apart(tmp_path: Path) -> None:
    spec = read(tmp_path, "source,target,key\nx,h,a\nx,h,b\n")
    assert list(spec.compile().parameters) == ["h.bias", "x->h#a", "x->h#b"]
    spec = read(tmp_path, "source,target,delay\nx,h,1\nx,h,2\n")
    assert list(spec.compile().parameters) == ["h.bias", "x->h@1", "x->h@2"]


def test_a_run_can_be_repeated_from_anywhere(tmp_path: Path) -> None:
    spec = read(tmp_path, EDGES, nodes=NODES)
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "spec.yaml"
    copy.write_text(spec.format())
    assert graphbptt.load(copy).compile().network == spec.compile().network


@pytest.mark.parametrize(
    ("edges", "line", "column", "complaint"),
    [
        ("", 1, 1, "there is no header"),
        ("source,target\n", 1, 1, "network.graph: the list has no edges; write a row an edge"),
        ("source,target,source\n", 1, 1, "several columns are called 'source'"),
        (
            "from,target\nx,h\n",
            1,
            1,
            "there is no column 'source'; name it in the spec by columns: {source: ...}; known: from, target",
        ),
        ("sorce,target\nx,h\n", 1, 1, "by columns: {source: ...}; did you mean 'sorce'?"),
        ("source,target\nx,h\n\nx\n", 4, 1, "1 cells where the header has 2"),
        ("source,target\nx,\n", 2, 3, "the target is empty; write a name"),
        (
            "source,target\nx,h\nh,h\nx,h\nx,h\n",
            4,
            1,
            "edge x->h: the edge is listed twice, first in line 2 (2 such rows); keep one of the rows, or add",
        ),
        ("source,target,key\nx,h,1\nx,h,1\n", 3, 1, "the edge is listed twice"),
        ("source,target,weight\nx,h,1\nh,x,heavy\n", 3, 5, "edge h->x.weight: 'heavy' is no number"),
        ("source,target,weight\nx,h,1e400\n", 2, 5, "edge x->h.weight: the number is NaN or infinite"),
        ("source,target,weight\nx,h,nan\n", 2, 5, "edge x->h.weight: 'nan' is no number"),
        ("source,target,init\nx,h,1e400\n", 2, 5, "edge x->h.init: the number is NaN or infinite"),
        (
            "source,target,init\nx,h,norml\n",
            2,
            5,
            "edge x->h.init: unknown init 'norml'; did you mean 'normal'?",
        ),
        (
            "source,target,delay\nx,h,0.5\nh,h,0.5\n",
            2,
            5,
            "edge x->h.delay: 0.5 cannot stand here (2 rows); write a whole number",
        ),
        ('source,target\nx,"h\n', 2, 1, "the row cannot be read: unexpected end of data"),
    ],
)
def test_mistakes_in_a_list(tmp_path: Path, edges: str, line: int, column: int, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, edges)
    problem = caught.value.problems[0]
    assert complaint in str(problem)
    assert problem.place == Place(str(tmp_path / "edges.csv"), line, column)
    assert problem.instead


def test_cells_of_a_factor_that_are_no_numbers_are_named_each_with_its_place(tmp_path: Path) -> None:
    edges = "source,target,kind,n_syn\na,b,k,3\na,c,k,4x\nb,c,k,5\nc,a,k,1e400\n"
    with pytest.raises(SpecError) as caught:
        read(tmp_path, edges, ", ties_by: [kind], columns: {count: n_syn}, factors: [count]")
    first, second = caught.value.problems
    where = tmp_path / "edges.csv"
    assert str(first) == (
        f"{where}:3:7: edge a->c.count: '4x' is no finite number, but count is a factor; write a number"
    )
    assert second.place == Place(str(where), 5, 7)


@pytest.mark.parametrize(
    ("nodes", "file", "line", "column", "complaint"),
    [
        ("nodes\nx\nh\n", "nodes", 1, 1, "by node_columns: {node: ...}; did you mean 'nodes'?"),
        ("node\nx\nh\nx\n", "nodes", 4, 1, "node x: the node is named twice, first in line 2"),
        ("node\nx\n", "edges", 2, 3, "edge x->h: 'h' is not in"),
        ("node,units\nx,1\nh,few\n", "nodes", 3, 3, "node h.units: 'few' cannot stand here; write a whole"),
    ],
)
def test_mistakes_in_a_table_of_nodes(
    tmp_path: Path, nodes: str, file: str, line: int, column: int, complaint: str
) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, EDGES, nodes=nodes)
    problem = caught.value.problems[0]
    assert complaint in str(problem)
    assert problem.place == Place(str(tmp_path / f"{file}.csv"), line, column)


def test_what_the_passes_find_has_its_line(tmp_path: Path) -> None:
    spec = read(
        tmp_path, "source,target,delay\nx,h,1\nh,k,0\nk,h,0\n", nodes="node,activation\nx,\nh,\nk,x[t-1]\n"
    )
    with pytest.raises(SpecError) as caught:
        spec.compile()
    assert str(caught.value.problems[0]).startswith(f"{tmp_path / 'edges.csv'}:3:1: edge h->k: ")
    spec = read(tmp_path, EDGES, nodes="node,activation\nx,\nh,tanj\n")
    with pytest.raises(SpecError, match=r"nodes.csv:3:1: node h.activation: unknown activation 'tanj'"):
        spec.compile()
    spec = read(tmp_path, "source,target,wieght\nx,h,1\n")
    with pytest.raises(SpecError, match=r"edges.csv:2:1: edge x->h.wieght: unknown key 'wieght'"):
        spec.compile()


def test_mistakes_in_the_spec(tmp_path: Path) -> None:
    def complain(more: str, graph: str = "edges.csv") -> str:
        (tmp_path / "edges.csv").write_text(EDGES)
        with pytest.raises(SpecError) as caught:
            graphbptt.load(write_spec(tmp_path, more, graph))
        assert all(str(tmp_path / "spec.yaml") in str(problem.place) for problem in caught.value.problems)
        return str(caught.value)

    assert "1:18: network.graph" in complain("", "none.csv")
    assert "none.csv cannot be read: no such file" in complain("", "none.csv")
    assert "network.node_table" in complain(", node_table: none.csv")
    assert "there is no table of nodes" in complain(", node_columns: {node: a}")
    assert "network.node_defaults.activaton: unknown key" in complain(", node_defaults: {activaton: tanh}")
    assert "network.edge_defaults.delay: 'a' cannot" in complain(", edge_defaults: {delay: a}")
    (tmp_path / "a.gml").write_text("graph [ node [ id 1 ] ]")
    assert "a table of nodes goes with tables" in complain(", node_table: a.csv", "a.gml")


def test_text_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "edges.csv").write_bytes(b"source,target\nx,h\nx,\xe9\n")
    with pytest.raises(SpecError, match=r"edges.csv:3:3: network.graph: the file is not UTF-8 text"):
        graphbptt.load(write_spec(tmp_path))
