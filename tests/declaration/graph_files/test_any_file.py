"""Whatever a graph file holds: it is read, or a SpecError says why not; and what is written is what is read."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import graphbptt
from graphbptt.errors import SpecError

CELLS = st.sampled_from(
    ["", "a", "b", "h", "1", "2", "0.5", "-1", "1e400", "nan", "true", "dense", "tanh", "é"]
)
HEADER = ["source", "target", "weight", "delay", "init", "kind", "key", "trainable", "tie"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


def read(folder: Path, name: str, more: str = "") -> graphbptt.Spec | None:
    """The spec of a file; None where it is refused, for reasons with a place and a remedy."""
    path = folder / "spec.yaml"
    path.write_text(f"network: {{graph: {name}{more}}}\n")
    try:
        spec = graphbptt.load(path)
        spec.compile()
    except SpecError as error:
        problems = error.problems
    else:
        return spec
    assert all(problem.place and problem.instead for problem in problems)
    return None


@given(
    st.binary()
    | st.text(alphabet='ab,\n\t" 1.e-\0\ufeff').map(lambda text: ("source,target\n" + text).encode())
)
@settings(suppress_health_check=list(HealthCheck))
def test_any_bytes(folder: Path, content: bytes) -> None:
    for name in ("a.csv", "a.tsv", "a.npz", "a.graphml", "a.gml", "a.json"):
        (folder / name).write_bytes(content)
        read(folder, name)


@given(
    st.lists(st.sampled_from(HEADER), min_size=1, max_size=5, unique=True).flatmap(
        lambda header: st.tuples(
            st.just(["source", "target", *header[2:]]),
            st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), max_size=4),
        )
    ),
    st.sampled_from(["", ", ties_by: symmetric", ", ties_by: [kind], factors: [weight]"]),
)
@settings(suppress_health_check=list(HealthCheck))
def test_any_cells(folder: Path, table: tuple[list[str], list[list[str]]], more: str) -> None:
    header, rows = table
    with (folder / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *(row[: len(header)] for row in rows)])
    read(folder, "a.csv", more)


arrays = st.one_of(
    st.lists(st.integers(-1, 3), max_size=4).map(np.array),
    st.lists(st.floats(), max_size=4).map(np.array),
    st.sampled_from(
        [np.array(b"csr"), np.array("coo"), np.array([2, 2]), np.eye(2), np.array(["a"]), np.zeros(0)]
    ),
)
names = st.sampled_from(
    ["format", "shape", "data", "indices", "indptr", "row", "col", "source", "target", "adjacency", "delay"]
)


@given(st.dictionaries(names, arrays, max_size=6))
@settings(suppress_health_check=list(HealthCheck))
def test_any_arrays(folder: Path, content: dict[str, Any]) -> None:
    np.savez(folder / "a.npz", **content)
    read(folder, "a.npz")


@given(st.integers(0, 2**32 - 1))
@settings(suppress_health_check=list(HealthCheck))
def test_a_graph_is_the_same_in_every_kind_of_file(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = nx.gnp_random_graph(5, 0.4, seed=seed, directed=True)
    graph = nx.relabel_nodes(graph, {node: f"n{node}" for node in graph})
    for _, _, said in graph.edges(data=True):
        said |= {
            "weight": float(rng.normal()),
            "delay": int(rng.integers(1, 3)),
            "label": str(rng.integers(9)) + "x",
        }
    nx.write_graphml(graph, folder / "g.graphml")
    nx.write_gml(graph, folder / "g.gml")
    (folder / "g.json").write_text(json.dumps(nx.node_link_data(graph, edges="links")))
    with (folder / "g.tsv").open("w", newline="") as file:
        rows = ([source, target, *said.values()] for source, target, said in graph.edges(data=True))
        csv.writer(file, delimiter="\t").writerows([["source", "target", "weight", "delay", "label"], *rows])
    (folder / "n.tsv").write_text("\n".join(["node", *graph]))
    order = list(graph)
    ends = zip(*((order.index(source), order.index(target)) for source, target in graph.edges), strict=True)
    source, target = map(list, ends) if graph.edges else ([], [])
    columns = {
        key: [said[key] for *_, said in graph.edges(data=True)] for key in ("weight", "delay", "label")
    }
    np.savez(folder / "g.npz", source=np.array(source, int), target=np.array(target, int), **columns)
    tables = {"g.tsv": ", node_table: n.tsv", "g.npz": ", node_table: n.tsv"}
    specs = [
        read(folder, name, tables.get(name, ""))
        for name in ("g.graphml", "g.gml", "g.json", "g.tsv", "g.npz")
    ]
    found = [spec and (dict(spec.graph.nodes), list(spec.graph.edges(data=True))) for spec in specs]
    assert found[0] is not None
    assert all(other == found[0] for other in found)


def test_edges_are_not_validated_one_by_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{n % 50},{n // 50},{n % 7},{n / 3},t{n % 5},{n % 3 + 1}" for n in range(2000)]
    (folder / "a.csv").write_text("\n".join(["source,target,delay,weight,kind,count", *rows]))
    (folder / "spec.yaml").write_text("network: {graph: a.csv, ties_by: [kind], factors: [weight, count]}\n")
    (folder / "a.csv").write_text((folder / "a.csv").read_text().replace(",0.0,", ",1,"))
    calls = []
    validate = BaseModel.model_validate.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        BaseModel,
        "model_validate",
        classmethod(lambda *args, **kwargs: (calls.append(1), validate(*args, **kwargs))[1]),
    )
    assert graphbptt.load(folder / "spec.yaml").graph.number_of_edges() == 2000
    assert len(calls) < 50
