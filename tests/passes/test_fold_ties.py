"""Ties: which copies share a parameter, by what scale, and ties that cannot be."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

from graphbptt.errors import SpecError
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.indices import IndexMap
from graphbptt.ir.initializers import draw_group
from graphbptt.ir.parameters import FrozenArray, Group, Initializer, Use
from graphbptt.passes.fold_graph import fold_graph

Attributes = dict[str, Any]
SIZES = {"a": 2, "b": 3}


def fold(edges: dict[str, Attributes], **nodes: Attributes) -> FoldedNetwork:
    """A network of nodes a (2 units) and b (3 units); edges are named like ``ab``."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for node, units in SIZES.items():
        graph.add_node(node, units=units, **nodes.get(node, {}))
    for (source, target), attributes in edges.items():
        graph.add_edge(source, target, **attributes)
    return fold_graph(graph)


def complaints(edges: dict[str, Attributes], **nodes: Attributes) -> list[str]:
    with pytest.raises(SpecError) as caught:
        fold(edges, **nodes)
    return [str(problem) for problem in caught.value.problems]


def weights(network: FoldedNetwork) -> dict[str, Use | None]:
    return {connection.name: connection.weight for connection in network.connections}


def test_free_name() -> None:
    network = fold({"ab": {"tie": "W"}, "ba": {"tie": {"group": "W", "transpose": True}}})
    assert weights(network) == {"a->b": Use("W"), "b->a": Use("W", 1.0, True)}
    assert network.group["W"].shape == (2, 3)


def test_group_of_transposed_members_has_the_shape_before_transposition() -> None:
    network = fold({"ba": {"tie": {"group": "W", "transpose": True, "scale": 3}}})
    assert network.group["W"].shape == (2, 3)


def test_name_of_another_parameter() -> None:
    network = fold({"ba": {"tie": {"group": "a->b", "scale": -2, "transpose": True}}, "ab": {}})
    assert weights(network) == {"a->b": Use("a->b"), "b->a": Use("a->b", -2.0, True)}


def test_chains_multiply_scales_and_transpositions() -> None:
    network = fold(
        {
            "ab": {"tie": {"group": "b->a", "scale": 2, "transpose": True}},
            "ba": {"tie": {"group": "V", "scale": 3, "transpose": True}},
        }
    )
    assert weights(network) == {"a->b": Use("V", 6.0, False), "b->a": Use("V", 3.0, True)}


@pytest.mark.parametrize("scale", [2.0, 3.0, 0.1])
def test_closed_chain_that_agrees_is_a_group(scale: float) -> None:
    network = fold(
        {
            "ab": {"tie": {"group": "b->a", "scale": scale, "transpose": True}},
            "ba": {"tie": {"group": "a->b", "scale": 1 / scale, "transpose": True}},
        }
    )
    assert weights(network) == {"a->b": Use("a->b"), "b->a": Use("a->b", 1 / scale, True)}


def test_tie_to_itself_says_nothing() -> None:
    assert weights(fold({"aa": {"tie": "a->a"}})) == {"a->a": Use("a->a")}


def test_biases_initial_states_and_coefficients_can_be_tied() -> None:
    network = fold(
        {"aa": {"weight": "one_to_one", "tie": "v", "init": 0.5}},
        a={
            "bias": {"tie": "v"},
            "initial": {"tie": {"group": "v", "scale": -1}},
            "coefficients": {"k": {"init": [0.5, 0.5], "tie": "v"}},
            "activation": "k * net",
        },
    )
    population = network.population["a"]
    assert (population.bias, population.initial) == (Use("v"), Use("v", -1.0))
    assert population.coefficients == (("k", Use("v")),)
    assert network.group["v"].init == FrozenArray(0.5)


def test_one_member_speaks_for_all() -> None:
    network = fold(
        {
            "ab": {"tie": {"group": "W", "combine": "mean"}},
            "ba": {"tie": {"group": "W", "transpose": True}, "trainable": False, "init": 2},
        }
    )
    group = network.group["W"]
    assert (group.combine, group.trainable, group.init) == ("mean", False, FrozenArray(2.0))


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize(
    "init", [[[1, 2, 3], [4, 5, 6]], "normal", {"uniform": {"low": -1, "high": 3}}, "glorot"]
)
def test_init_is_that_of_the_member_which_declares_it(init: Any, transpose: bool) -> None:
    """A member starts as it would without the tie; the group is what follows from that."""
    tied, alone = (
        fold({"ab": {"init": init, **tie}, "bb": {}, "aa": {}})
        for tie in ({"tie": {"group": "P", "scale": -2, "transpose": transpose}}, {})
    )
    use = weights(tied)["a->b"]
    assert use is not None
    group = tied.group[use.group]
    if isinstance(group.init, FrozenArray):
        drawn = use.scale * draw_group(group, 0)
        np.testing.assert_array_equal(drawn.T if transpose else drawn, init)
    else:
        moments = [
            (float(np.mean(sample)), float(np.std(sample)))
            for sample in (
                use.scale * draw_group(replace_shape(group, (400, 400)), 0),
                draw_group(replace_shape(alone.group["a->b"], (400, 400)), 0),
            )
        ]
        np.testing.assert_allclose(moments[0], moments[1], rtol=0.02, atol=0.02)


def replace_shape(group: Any, shape: tuple[int, ...]) -> Any:
    return type(group)(group.name, shape, group.init)


def test_inits_that_mean_the_same_agree() -> None:
    network = fold(
        {
            "ab": {"tie": "W", "init": [[1, 2, 3], [4, 5, 6]]},
            "ba": {
                "tie": {"group": "W", "scale": -3, "transpose": True},
                "init": [[-3, -12], [-6, -15], [-9, -18]],
            },
            "bb": {"tie": "V", "init": {"normal": {"std": 2}}},
        }
    )
    assert network.group["V"].init == Initializer("normal", (("mean", 0.0), ("std", 2.0)))
    np.testing.assert_array_equal(draw_group(network.group["W"], 0), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("edges", "path", "what"),
    [
        (
            {"ab": {"tie": "W"}, "ba": {"tie": "W"}},
            "edge a->b.tie",
            "group 'W' ties different shapes: a->b = W of shape (2, 3); b->a = W of shape (3, 2)",
        ),
        (
            {"aa": {"tie": {"group": "W", "scale": -1}}, "bb": {"tie": "W"}},
            "edge a->a.tie",
            "group 'W' ties different shapes: a->a = -1*W of shape (2, 2); b->b = W of shape (3, 3)",
        ),
        (
            {"aa": {"tie": {"group": "a->a", "scale": -1}}},
            "edge a->a.tie",
            "contradictory ties: a->a = -1*a->a",
        ),
        (
            {"aa": {"tie": {"group": "a->a", "transpose": True}}},
            "edge a->a.tie",
            "contradictory ties: a->a = a->a.T",
        ),
        (
            {
                "ab": {"tie": {"group": "b->a", "scale": 2, "transpose": True}},
                "ba": {"tie": {"group": "a->b", "scale": 2, "transpose": True}},
            },
            "edge a->b.tie",
            "contradictory ties: a->b = 2*b->a.T, b->a = 2*a->b.T, so that a->b = 4*a->b",
        ),
        ({"ab": {"tie": "a->bb"}}, "edge a->b.tie", "there is no parameter 'a->bb' to tie it to"),
        ({"ab": {"tie": "a.bias"}}, "edge a->b.tie", "there is no parameter 'a.bias' to tie it to"),
        (
            {"aa": {"weight": "scalar", "tie": {"group": "w", "transpose": True}}},
            "edge a->a.tie",
            "a parameter of shape () has no transpose",
        ),
        (
            {
                "ab": {"tie": "W", "init": 1},
                "ba": {"tie": {"group": "W", "transpose": True}, "init": 2},
            },
            "edge a->b.init",
            "the members of group 'W' start differently: a->b, b->a",
        ),
        (
            {
                "ab": {"tie": "W", "trainable": True},
                "ba": {"tie": {"group": "W", "transpose": True}, "trainable": False},
            },
            "edge a->b.tie",
            "the members of group 'W' differ in trainable: a->b says True, b->a says False",
        ),
        (
            {
                "ab": {"tie": {"group": "W", "combine": "mean"}},
                "ba": {"tie": {"group": "W", "transpose": True, "combine": "sum"}},
            },
            "edge a->b.tie",
            "the members of group 'W' differ in combine: a->b says mean, b->a says sum",
        ),
        (
            {"aa": {"weight": "one_to_one", "tie": "a.bias"}},
            "edge a->a.init",
            "the members of group 'a.bias' start differently by default: a->a, a.bias",
        ),
        (
            {
                "ab": {"tie": {"group": "b->a", "scale": 1e-200, "transpose": True}},
                "ba": {"tie": {"group": "W", "scale": 1e-200}},
            },
            "edge a->b.tie",
            "the scales of this chain of ties multiply to 0",
        ),
    ],
)
def test_ties_that_cannot_be(edges: dict[str, Attributes], path: str, what: str) -> None:
    (complaint,) = complaints(edges)
    assert complaint.startswith(f"{path}: {what}; ")


@pytest.mark.parametrize(
    "tie", [{"scale": 2}, {"group": "W", "scale": 0}, {"group": "W", "scale": float("inf")}, 3, ""]
)
def test_malformed_ties(tie: Any) -> None:
    assert all(complaint.startswith("edge a->b.tie") for complaint in complaints({"ab": {"tie": tie}}))


CIRCULANT = [[0, 1, 2], [2, 0, 1], [1, 2, 0]]


def test_an_index_reads_a_group_that_has_no_shape_of_its_own() -> None:
    network = fold({"bb": {"tie": {"group": "k", "index": CIRCULANT}, "init": [1, 2, 3]}})
    assert network.group["k"] == Group("k", (3,), FrozenArray([1, 2, 3]), fans=(3, 3))
    assert weights(network) == {"b->b": Use("k", index=IndexMap(CIRCULANT))}


def test_indices_share_a_group_with_parameters_that_have_its_shape() -> None:
    ab = {"tie": "W", "init": [[1, 2, 3], [4, 5, 6]]}
    ba = {"tie": {"group": "W", "index": [[0, 3], [1, 4], [None, 5]]}}
    network = fold({"ab": ab, "ba": ba}, b={"bias": {"tie": {"group": "W", "index": [5, 5, 5]}}})
    assert network.group["W"].shape == (2, 3)
    index = IndexMap([[0, 3], [1, 4], [-1, 5]])
    assert weights(network) == {"a->b": Use("W"), "b->a": Use("W", index=index)}
    assert index.read(np.arange(1.0, 7)).tolist() == [[1, 4], [2, 5], [0, 6]]


def test_a_chain_of_indices_is_one_index() -> None:
    """By hand: what the last reads of what the one before it reads, scales and factors multiplied."""
    network = fold(
        {
            "ab": {"tie": {"group": "v", "index": [[0, 1, 2], [3, 4, 5]], "factors": [[1, 1, 1], [2, 2, 2]]}},
            "ba": {"tie": {"group": "a->b", "scale": -1, "transpose": True}},
            "aa": {"tie": {"group": "b->a", "index": [[1, None], [4, 5]], "factors": [[3, 1], [1, 1]]}},
        }
    )
    vector = np.arange(10.0, 16)
    copies = {
        name: use.scale * use.index.read(vector)
        for name, use in weights(network).items()
        if use is not None and use.index is not None
    }
    assert copies["a->b"].tolist() == [[10, 11, 12], [26, 28, 30]]
    assert copies["b->a"].tolist() == [[-10, -26], [-11, -28], [-12, -30]]
    assert copies["a->a"].tolist() == [[3 * -26, 0], [-12, -30]]


@pytest.mark.parametrize(
    ("edges", "complaint"),
    [
        (
            {"ab": {}, "ba": {"tie": {"group": "a->b", "index": [[0, 1], [2, 3], [4, 6]]}}},
            "edge b->a.tie.index: position 6 of a->b, which has 6 numbers; write positions up to 5",
        ),
        (
            {"ab": {"tie": "W"}, "ba": {"tie": {"group": "W", "index": [[0, 1], [2, 3], [4, 6]]}}},
            "edge a->b.tie: position 6 of group 'W', which has 6 numbers; write positions up to 5",
        ),
        (
            {"aa": {"tie": {"group": "a->a", "index": [[0, 2], [1, 3]]}}},
            "edge a->a.tie: a->a is tied to itself through an index; give the group a free name, and tie everything",
        ),
        (
            {
                "aa": {"tie": {"group": "b->b", "index": [[0, 0], [0, 0]]}},
                "bb": {"tie": {"group": "a->a", "index": [[0, 0, 0]] * 3}},
            },
            "edge a->a.tie: a->a is tied to itself through an index; give the group a free name, and tie everything",
        ),
        (
            {"bb": {"tie": {"group": "k", "index": CIRCULANT}, "init": [1, 2]}},
            "edge b->b.init: starting values of shape (2,) for a parameter of shape (3,)",
        ),
        (
            {"bb": {"tie": {"group": "k", "index": CIRCULANT}, "init": "identity"}},
            "edge b->b.init: identity is for matrices, not for shape (3,); write another distribution",
        ),
    ],
)
def test_index_ties_that_cannot_be(edges: dict[str, Attributes], complaint: str) -> None:
    (found,) = complaints(edges)
    assert found.startswith(complaint), found


def test_long_chain_is_followed_in_linear_time() -> None:
    graph = nx.path_graph(2_000, create_using=nx.DiGraph)
    for source, target in graph.edges:
        graph.edges[source, target]["tie"] = f"{source + 1}->{target + 1}"
    last = graph.edges[1998, 1999]
    last["tie"] = {"group": "W", "scale": 2}
    assert {c.weight for c in fold_graph(graph).connections} == {Use("W", 2.0)}


def test_parameters_of_one_name() -> None:
    graph = nx.DiGraph([("a", "b.bias"), ("x", "a->b")])
    with pytest.raises(SpecError) as caught:
        fold_graph(graph)
    complaint = "node a->b.bias: another parameter is called a->b.bias too; rename the node"
    assert str(caught.value).startswith(complaint)
