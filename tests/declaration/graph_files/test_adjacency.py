"""Networks from npz files: matrices and lists of edges, and arrays that are none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import graphbptt
from graphbptt.declaration.graph_files import archive
from graphbptt.errors import SpecError

WEIGHTS = np.array([[0.0, 0.5, 0.0], [0.0, -0.25, 2.0], [0.0, 0.0, 0.0]])
EDGES = [("0", "1", {"init": 0.5}), ("1", "1", {"init": -0.25}), ("1", "2", {"init": 2.0})]


def load(folder: Path, more: str = "") -> graphbptt.Spec:
    path = folder / "spec.yaml"
    path.write_text(f"network: {{graph: a.npz{more}}}\n")
    return graphbptt.load(path)


def complain(folder: Path, **arrays: Any) -> str:
    np.savez(folder / "a.npz", **arrays)
    with pytest.raises(SpecError) as caught:
        load(folder)
    (problem,) = caught.value.problems
    assert problem.place is not None
    assert problem.instead
    return str(problem)


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_a_sparse_matrix(tmp_path: Path, form: str, kind: Any) -> None:
    sparse.save_npz(tmp_path / "a.npz", kind(WEIGHTS).asformat(form))
    graph = load(tmp_path).graph
    assert sorted(graph.edges(data=True)) == EDGES
    assert list(graph) == ["0", "1", "2"]


def test_a_matrix_with_a_table_of_nodes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", adjacency=WEIGHTS != 0)
    (tmp_path / "nodes.csv").write_text("node,type\nx,A\nh,B\ny,B\n")
    graph = load(tmp_path, ", node_table: nodes.csv").graph
    assert list(graph.edges(data=True)) == [("x", "h", {}), ("h", "h", {}), ("h", "y", {})]
    assert graph.nodes["y"] == {"type": "B"}
    (tmp_path / "nodes.csv").write_text("node\nx\nh\n")
    with pytest.raises(SpecError, match=r"3 nodes, and the table of nodes has 2 rows"):
        load(tmp_path, ", node_table: nodes.csv")


def test_arrays_with_an_entry_an_edge(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pre=[0, 1, 1], target=[1, 1, 2], n=[3, 4, 5], polarity=[1.0, -1.0, 1.0])
    graph = load(tmp_path, ", columns: {source: pre, count: n}").graph
    assert [data["count"] for _, _, data in graph.edges(data=True)] == [3, 4, 5]
    assert list(graph.edges()) == [("0", "1"), ("1", "1"), ("1", "2")]


def test_arrays_that_are_no_graph(tmp_path: Path) -> None:
    csr = {"format": b"csr", "shape": [2, 2], "data": [1.0], "indices": [0], "indptr": [0, 1, 1]}
    assert "a matrix of shape (2, 3)" in complain(tmp_path, **{**csr, "shape": [2, 3]})
    assert "a sparse matrix of format 'dia'" in complain(tmp_path, **{**csr, "format": b"dia"})
    assert "without an array 'indptr'" in complain(
        tmp_path, **{k: v for k, v in csr.items() if k != "indptr"}
    )
    assert "indptr does not divide" in complain(tmp_path, **{**csr, "indptr": [0, 9, 1]})
    assert "indptr does not divide" in complain(tmp_path, **{**csr, "indptr": [0, 2, 2]})
    assert "2 is the index of no node" in complain(tmp_path, **{**csr, "indices": [2]})
    assert "-1 is the index of no node" in complain(tmp_path, **{**csr, "indices": [-1]})
    assert "no whole numbers" in complain(tmp_path, **{**csr, "indices": [0.5]})
    assert "data of shape (2,)" in complain(tmp_path, **{**csr, "data": [1, 2]})
    for shape in ([1.5, 1.5], ["2", "2"]):
        assert "its shape is of type" in complain(tmp_path, **{**csr, "shape": shape})
    assert "edge 0->0.weight: the number is NaN" in complain(tmp_path, **{**csr, "data": [np.nan]})
    coo = {"format": b"coo", "shape": [10**12] * 2, "data": [1.0], "row": [0], "col": [1]}
    assert "1,000,000,000,000 nodes" in complain(tmp_path, **coo)
    coo = {"format": b"coo", "shape": [2, 2], "data": [1.0] * 3, "row": [0] * 3, "col": [1, 0, 1]}
    assert "1 edges are listed twice: 0->1; list each edge once" in complain(tmp_path, **coo)
    ends = np.array([0, 2**63], np.uint64)
    assert "9,223,372,036,854,775,809 nodes" in complain(tmp_path, source=ends, target=ends)
    assert "as adjacency=W, or arrays of ends; known: W" in complain(tmp_path, W=WEIGHTS)
    assert "'n' is of shape (1,)" in complain(tmp_path, source=[0, 1], target=[1, 0], n=[1])


def test_arrays_that_are_not_to_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Python objects" in complain(tmp_path, adjacency=np.array([[None]]))
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(SpecError, match="holds no arrays that can be read"):
        load(tmp_path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as made:
        made.writestr("adjacency.npy", header.getvalue())
    with pytest.raises(SpecError, match=r"an array of shape \(1000000, 1000000\) in 128 bytes"):
        load(tmp_path)
    monkeypatch.setattr(archive, "LARGEST_ARCHIVE", 100_000)
    np.savez_compressed(tmp_path / "a.npz", adjacency=np.zeros((1000, 1000)))
    with pytest.raises(SpecError, match=r"unpacks to 8,000,\d\d\d bytes"):
        load(tmp_path)
