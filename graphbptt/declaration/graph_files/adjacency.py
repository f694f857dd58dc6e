"""An npz file -> a graph.

    file := sparse matrix      as scipy.sparse.save_npz writes it, in the format csr, csc or coo
          | {adjacency}        a square matrix; zeros are no edges
          | {source, target, attribute, ...}      arrays with an entry an edge

``W[source, target]``, as everywhere. A number of a matrix is the weight that the edge starts with; the entries of a
matrix of truth values have none. The nodes are called by the table of nodes, in its order, else by their index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.graph_files.archive import read_archive
from graphbptt.declaration.graph_files.attributes import check_columns, list_attributes
from graphbptt.declaration.graph_files.edge_list import connect
from graphbptt.declaration.graph_files.file_graph import FileGraph
from graphbptt.declaration.graph_files.nodes import NodeTable
from graphbptt.declaration.graph_files.schema import GraphFile
from graphbptt.declaration.network_schema import ConnectionDeclaration
from graphbptt.errors import Problem, SpecError, did_you_mean

__all__ = ["read_adjacency"]

Array = npt.NDArray[Any]

MOST_NODES = 10_000_000
"""The most nodes: a coordinate matrix can have any number without an entry."""

SHOWN = 5


class _Unfit(Exception):
    """Why the arrays are no graph, and what to write instead."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(what)
        self.what, self.instead = what, instead


def read_adjacency(path: Path, declared: GraphFile, nodes: NodeTable | None) -> FileGraph:
    """Read an npz file.

    Parameters
    ----------
    path : Path
        The file.
    declared : GraphFile
        What the spec says of it; its `columns` go with arrays that have an entry an edge.
    nodes : NodeTable, optional
        What the rows and columns stand for.

    Raises
    ------
    SpecError
        It cannot be read, is of another kind, or lists an edge twice.
    """
    arrays = read_archive(path)
    try:
        if "format" in arrays:
            size, columns = _open_sparse(arrays)
        elif set(arrays) == {"adjacency"}:
            size, columns = _open_dense(arrays["adjacency"])
        else:
            size, columns = _open_columns(arrays, declared.columns)
        names = _name_nodes(size, nodes)
        _reject_twins(columns, names)
    except _Unfit as unfit:
        problem = Problem("network.graph", f"{path}: {unfit.what}", unfit.instead)
        raise SpecError(problem) from None
    sources, targets = ([names[index] for index in columns.pop(end).tolist()] for end in ("source", "target"))
    values = {attribute: column.tolist() for attribute, column in columns.items()}
    check_columns(
        ConnectionDeclaration,
        values,
        lambda row: f"edge {sources[row]}->{targets[row]}",
        lambda row, key: None,
        declared.factors,
    )
    table = nodes or NodeTable({name: {} for name in names})
    graph, _ = connect(table, sources, targets, None, list_attributes(values, len(sources)))
    return FileGraph(graph, table.located)


def _open_sparse(arrays: Mapping[str, Array]) -> tuple[int, dict[str, Array]]:
    """The entries of a matrix of SciPy's; its arrays are checked here, since SciPy takes them as they are."""
    form = arrays["format"]
    kind = form.item() if form.shape == () else None
    kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else kind
    if kind not in ("csr", "csc", "coo"):
        raise _Unfit(f"a sparse matrix of format {kind!r}", "save it as csr, csc or coo")
    needed = ("shape", "data", *(("row", "col") if kind == "coo" else ("indices", "indptr")))
    for name in needed:
        if name not in arrays or arrays[name].ndim != 1:
            raise _Unfit(f"a {kind} matrix without an array {name!r}", "write it with scipy.sparse.save_npz")
    if arrays["shape"].dtype.kind not in "iu":
        raise _Unfit(f"its shape is of type {arrays['shape'].dtype}", "write it with scipy.sparse.save_npz")
    size = _check_square(arrays["shape"].tolist())
    data = arrays["data"]
    if kind == "coo":
        rows, columns = arrays["row"], arrays["col"]
    else:
        starts, columns = arrays["indptr"], arrays["indices"]
        counts = np.diff(starts) if starts.dtype.kind in "iu" else np.array([-1])
        if len(starts) != size + 1 or starts[0] != 0 or (counts < 0).any() or starts[-1] != len(columns):
            raise _Unfit("its indptr does not divide its indices", "write it with scipy.sparse.save_npz")
        rows = np.repeat(np.arange(size), counts)
    if kind == "csc":
        rows, columns = columns, rows
    return size, {**_check_ends(rows, columns, size), **_read_weights(data, len(rows))}


def _open_dense(matrix: Array) -> tuple[int, dict[str, Array]]:
    size = _check_square(matrix.shape)
    rows, columns = np.nonzero(matrix)
    return size, {**_check_ends(rows, columns, size), **_read_weights(matrix[rows, columns], len(rows))}


def _open_columns(arrays: Mapping[str, Array], chosen: Mapping[str, str]) -> tuple[int, dict[str, Array]]:
    columns = {attribute: arrays.get(name) for attribute, name in chosen.items()}
    columns.update({name: array for name, array in arrays.items() if name not in chosen.values()})
    for attribute in ("source", "target", *chosen):
        if columns.get(attribute) is None:
            name = chosen.get(attribute, attribute)
            remedy = f"save the matrix alone, as adjacency=W, or arrays of ends; {did_you_mean(name, list(arrays))}"
            raise _Unfit(f"there is no array {name!r}", remedy)
    found = {attribute: array for attribute, array in columns.items() if array is not None}
    for attribute, array in found.items():
        if array.ndim != 1 or len(array) != len(found["source"]) or array.dtype.kind not in "biufU":
            what = f"{attribute!r} is of shape {array.shape} and type {array.dtype}"
            raise _Unfit(what, "write arrays of numbers, truth values or text, with an entry an edge")
    rows, targets = found.pop("source"), found.pop("target")
    whole = rows.dtype.kind in "iu" and targets.dtype.kind in "iu"
    size = 1 + max(int(rows.max()), int(targets.max())) if whole and len(rows) else 0
    _check_square((size, size))
    return size, {**_check_ends(rows, targets, size), **found}


def _check_square(shape: Sequence[Any]) -> int:
    if len(shape) != 2 or shape[0] != shape[1]:
        raise _Unfit(f"a matrix of shape {tuple(shape)}", "write a square matrix, W[source, target]")
    if shape[0] > MOST_NODES:
        raise _Unfit(f"{shape[0]:,} nodes", f"write at most {MOST_NODES:,}")
    return int(shape[0])


def _check_ends(rows: Array, columns: Array, size: int) -> dict[str, Array]:
    if len(rows) != len(columns):
        raise _Unfit("sources and targets differ in number", "write one of each for every edge")
    for ends in (rows, columns):
        if ends.dtype.kind not in "iu":
            raise _Unfit("sources or targets are no whole numbers", "write the indices of nodes, from 0")
        if len(ends) and not 0 <= int(ends.min()) <= int(ends.max()) < size:
            wrong = int(ends.min()) if ends.min() < 0 else int(ends.max())
            raise _Unfit(f"{wrong} is the index of no node", f"write indices from 0 to {size - 1}")
    return {"source": rows, "target": columns}


def _read_weights(data: Array, entries: int) -> dict[str, Array]:
    if data.shape != (entries,) or data.dtype.kind not in "biuf":
        raise _Unfit(f"data of shape {data.shape} and type {data.dtype}", "write a number for each entry")
    return {} if data.dtype.kind == "b" else {"weight": data}


def _name_nodes(size: int, nodes: NodeTable | None) -> list[str]:
    if nodes is None:
        return [str(index) for index in range(size)]
    if len(nodes.attributes) < size:
        what = f"{size} nodes, and the table of nodes has {len(nodes.attributes)} rows"
        raise _Unfit(what, "write a row a node, in the order of the matrix")
    return list(nodes.attributes)


def _reject_twins(columns: Mapping[str, Array], names: Sequence[str]) -> None:
    """There is no place for what could tell edges between the same two nodes apart."""
    told = np.asarray(columns["source"]).astype(np.int64) * len(names) + columns["target"]
    order = np.argsort(told, kind="stable")
    twice = order[1:][np.diff(told[order]) == 0]
    if len(twice):
        shown = ", ".join(
            f"{names[columns['source'][row]]}->{names[columns['target'][row]]}" for row in twice[:SHOWN]
        )
        more = ", ..." if len(twice) > SHOWN else ""
        remedy = "list each edge once, or write an edge list (CSV), where keys or delays tell them apart"
        raise _Unfit(f"{len(twice):,} edges are listed twice: {shown}{more}", remedy)
