"""Sparse weights and index maps as they are written: what they become, and what is wrong with those that cannot be."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.sparse

from graphbptt.declaration.sparse import SparsePattern
from graphbptt.errors import SpecError
from graphbptt.ir.folded import Connection
from graphbptt.ir.indices import IndexMap, Pattern
from graphbptt.passes.fold_graph import fold_graph

MASK = [[0, 1, 0], [1, 0, 1]]
PATTERN = Pattern([0, 1, 1], [1, 0, 2])


def draw(**edge: Any) -> nx.DiGraph[str]:
    """An edge from two units to three."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("a", units=2)
    graph.add_node("b", units=3)
    graph.add_edge("a", "b", **edge)
    return graph


def fold(**edge: Any) -> Connection:
    (connection,) = fold_graph(draw(**edge)).connections
    return connection


def complain(**edge: Any) -> str:
    """The only problem, without the edge."""
    with pytest.raises(SpecError) as caught:
        fold_graph(draw(**edge))
    (problem,) = caught.value.problems
    return str(problem).removeprefix("edge a->b.")


@pytest.mark.parametrize(
    "written",
    [
        {"mask": MASK},
        {"mask": np.array(MASK, bool)},
        {"mask": scipy.sparse.csr_array(np.array(MASK))},
        {"mask": scipy.sparse.coo_array(([1, 0, 1, 1], ([0, 0, 1, 1], [1, 0, 2, 0])), shape=(2, 3))},
        {"edges": [[0, 1], [1, 0], [1, 2]]},
        {"edges": np.array([[1, 2], [0, 1], [1, 0]], np.uint8)},
        {"edges": scipy.sparse.csc_array(np.array(MASK))},
    ],
    ids=str,
)
def test_every_way_to_write_a_pattern(written: dict[str, Any]) -> None:
    connection = fold(weight={"sparse": written, "storage": "csr"})
    assert (connection.kind, connection.pattern, connection.storage) == ("sparse", PATTERN, "csr")


def test_edges_keep_their_weights_in_any_order() -> None:
    graph = draw(weight={"sparse": {"edges": [[1, 2], [0, 1], [1, 0]]}}, init=[2, 0, 1])
    network = fold_graph(graph)
    (connection,), (group,) = network.connections, (network.group["a->b"],)
    assert connection.pattern == PATTERN
    assert connection.weight is not None
    assert connection.weight.index is not None
    written = np.array([2.0, 0.0, 1.0])
    assert group.shape == (3,)
    assert connection.weight.index.read(written).tolist() == [0, 1, 2]


def test_a_pattern_holds_either_of_them_alone() -> None:
    assert SparsePattern(density=0.5).places is None
    places = SparsePattern.model_validate({"edges": [[4, 2], [1, 7]]}).places
    assert places is not None
    assert places.extent == (5, 8)


@pytest.mark.parametrize(
    ("sparse", "complaint"),
    [
        ({}, "weight.sparse: nothing says where the entries are; write one of density, mask and edges"),
        (
            {"density": 0.5, "mask": MASK},
            "weight.sparse: density and mask are given; write one of density, mask and edges",
        ),
        ({"density": 0}, "weight.sparse.density: 0 is out of range; write a number above 0"),
        ({"density": 1.5}, "weight.sparse.density: 1.5 is out of range; write at most 1"),
        (
            {"mask": [[1, 0], [1]]},
            "weight.sparse.mask: the rows of this mask differ in length; write rows of one",
        ),
        (
            {"mask": [1, 0]},
            "weight.sparse.mask: a mask is a matrix of zeros and ones; write a list for each row",
        ),
        (
            {"mask": "all"},
            "weight.sparse.mask: a mask is a matrix of zeros and ones; write a list for each row",
        ),
        (
            {"mask": [[0, 2, 0], [0, 0, 1]]},
            "weight.sparse.mask: a mask holds zeros and ones alone; write the weights themselves as init",
        ),
        (
            {"mask": scipy.sparse.csr_array([[0.5, 0.0, 0.0]])},
            "weight.sparse.mask: a mask holds zeros and ones alone; write the weights themselves as init",
        ),
        (
            {"mask": np.zeros((2, 3))},
            "weight.sparse.mask: this mask has no ones; mark at least one entry, or remove the edge",
        ),
        (
            {"mask": [[1, 0], [0, 1]]},
            "weight.sparse.mask: a mask of shape (2, 2) for a connection of 2 units to 3; write 2 rows of 3 numbers",
        ),
        ({"edges": []}, "weight.sparse.edges: this list of edges is empty; list at least one entry"),
        (
            {"edges": [[0, 1], [1]]},
            "weight.sparse.edges: the rows of this list of edges differ in length; write rows of one length",
        ),
        (
            {"edges": [[0, 1.0]]},
            "weight.sparse.edges: this list of edges does not hold whole numbers alone; write whole numbers that",
        ),
        (
            {"edges": [[0, 2**64 - 1]]},
            "weight.sparse.edges: this list of edges does not hold whole numbers alone; write whole numbers that",
        ),
        ({"edges": [0, 1]}, "weight.sparse.edges: an edge is a pair [row, column]; write a list of pairs"),
        (
            {"edges": [[0, 1, 2]]},
            "weight.sparse.edges: an edge is a pair [row, column]; write a list of pairs",
        ),
        (
            {"edges": [[0, -1]]},
            "weight.sparse.edges: -1 is no unit; units are whole numbers that count from 0",
        ),
        (
            {"edges": scipy.sparse.csr_array((2, 3))},
            "weight.sparse.edges: this matrix has no entries; list at least one, or remove the edge",
        ),
        (
            {"edges": [[0, 1], [1, 1], [0, 1]]},
            "weight.sparse.edges: 1 edges are listed twice: [0, 1]; list each edge once",
        ),
        (
            {"edges": [[0, k] for k in range(6)] * 2},
            "weight.sparse.edges: 6 edges are listed twice: [0, 0], [0, 1], [0, 2], [0, 3], [0, 4], ...; list each",
        ),
        (
            {"edges": [[2, 0]]},
            "weight.sparse.edges: an edge from unit 2 of 2; write pairs of units 0 to 1 and 0 to 2; they count within",
        ),
        (
            {"edges": [[1, 3]]},
            "weight.sparse.edges: an edge to unit 3 of 3; write pairs of units 0 to 1 and 0 to 2",
        ),
    ],
)
def test_patterns_that_cannot_be(sparse: dict[str, Any], complaint: str) -> None:
    assert complain(weight={"sparse": sparse}).startswith(complaint)


@pytest.mark.parametrize(
    ("edge", "complaint"),
    [
        ({"weight": "sparse"}, "weight: nothing says where sparse weights are; write e.g. weight: {sparse:"),
        ({"weight": {"sparse": {"density": 1}, "storage": "cs"}}, "weight.storage: 'cs' is not among the choices"),
        (
            {"weight": {"sparse": {"density": 1}, "store": "csr"}},
            "weight.store: unknown key 'store'; did you mean 'storage'?",
        ),
        ({"weight": {"storage": "csr"}}, "weight: 'sparse' is absent; write sparse: ..."),
        (
            {"weight": {"sparse": {"mask": MASK}}, "init": [[0, 1, 2], [3, 0, 5]]},
            "init: 1 starting values are not where entries are; the first at [0, 2]; write 0 there, or add them",
        ),
        (
            {"weight": {"sparse": {"density": 0.5}}, "init": [[0, 1, 2], [3, 0, 5]]},
            "init: a matrix of starting values, though the density draws where its entries are; write mask or edges",
        ),
        (
            {"weight": {"sparse": {"mask": MASK}}, "init": [1, 2]},
            "init: starting values of shape (2,) for a parameter of shape (3,); write one number",
        ),
        (
            {"weight": {"sparse": {"mask": MASK}}, "tie": {"group": "W", "transpose": True}},
            "tie: a parameter of shape (3,) has no transpose; list the edges reversed, in the order of those",
        ),
    ],
)  # fmt: skip
def test_sparse_weights_that_cannot_be(edge: dict[str, Any], complaint: str) -> None:
    assert complain(**edge).startswith(complaint)


def test_starting_values_as_a_matrix_are_those_of_the_entries() -> None:
    for pattern in ({"mask": MASK}, {"edges": [[1, 2], [1, 0], [0, 1]]}):
        network = fold_graph(draw(weight={"sparse": pattern}, init=[[0, 5, 0], [6, 0, 7]]))
        (connection,) = network.connections
        values = network.group["a->b"].init.values  # type: ignore[union-attr]
        use = connection.weight
        assert use is not None
        assert (values if use.index is None else use.index.read(values)).tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("tie", "complaint"),
    [
        ({"index": "all"}, "tie.index: 'all' is no index; write positions in the group, as nested lists"),
        ({"index": True}, "tie.index: True is no index; write positions"),
        ({"index": [[0, 1, 2], [3]]}, "tie.index: the rows of this index differ in length; write rows of one length"),
        ({"index": []}, "tie.index: this index is empty; list at least one entry"),
        ({"index": [0.5]}, "tie.index: this index does not hold whole numbers alone; write whole numbers that count"),
        ({"index": [[-2, 0, 1], [0, 0, 0]]}, "tie.index: -2 is no position; positions count from 0; null is an entry"),
        ({"index": [[0, 0, 0], [0, 0, 2**31]]}, "tie.index: 2147483648 is no position; positions count from 0"),
        ({"index": [[None] * 3] * 2}, "tie.index: this index reads nothing of the group; write a position at one"),
        ({"factors": [1]}, "tie: factors without an index; write scale for one factor, or an index beside the"),
        (
            {"index": [[0, 0, 0]] * 2, "transpose": True},
            "tie: an index has no transpose; write the index itself transposed",
        ),
        (
            {"index": [[0, 0, 0]] * 2, "factors": [1, 2]},
            "tie: factors of shape (2,) for an index of shape (2, 3); write one factor for each entry of the index",
        ),
        (
            {"index": [[0, 0, 0]] * 2, "factors": [[1, 1, 1], [1, 0, 1]]},
            "tie: a factor 0 would fix an entry at 0; write null at that entry of the index",
        ),
        (
            {"index": [[0, 1], [2, 3]]},
            "tie.index: an index of shape (2, 2) for a parameter of shape (2, 3); write a position for each entry of",
        ),
        (
            {"index": [[0, 1, 2], [4, 5, 7]]},
            "tie.index: group 'W' has 8 numbers, of which 2 are read by no entry; number the positions without gaps:"
            " there is no 3",
        ),
    ],
)  # fmt: skip
def test_index_maps_that_cannot_be(tie: dict[str, Any], complaint: str) -> None:
    assert complain(tie={"group": "W", **tie}).startswith(complaint)


def test_an_index_map_of_a_hand_built_graph() -> None:
    index = np.array([[0, -1, 1], [1, 0, 0]])
    use = fold(tie={"group": "W", "index": index, "factors": [[1, 0, 2], [3, 4, 5]]}).weight
    assert use is not None
    assert use.index == IndexMap(index, [[1, 0, 2], [3, 4, 5]])
