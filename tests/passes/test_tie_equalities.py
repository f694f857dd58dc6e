"""Equalities of whole parameters become ties where that says the same; all others stay constraints."""

from __future__ import annotations

import time
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.parameters import Use
from graphbptt.passes.fold_graph import fold_graph


def draw_graph(*constraints: str, **edge: Any) -> nx.MultiDiGraph[str]:
    """Weights from x to h, and back as `edge` says."""
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(constraints=list(constraints))
    graph.add_node("x", units=2, activation="tanh")
    graph.add_node("h", units=3, activation="tanh")
    graph.add_edge("x", "h")
    graph.add_edge("h", "x", **edge)
    graph.add_edge("h", "h", tie="W")
    graph.add_edge("h", "h", tie={"group": "V", "transpose": True}, delay=2)
    return graph


def fold(*constraints: str, **edge: Any) -> FoldedNetwork:
    return fold_graph(draw_graph(*constraints, **edge))


@pytest.mark.parametrize(
    ("text", "owner", "use"),
    [
        ("x->h == h->x.T", "h->x", Use("x->h", transpose=True)),
        ("x->h.T == -2*h->x", "h->x", Use("x->h", -0.5, transpose=True)),
        ("'x->h' / 2 == 'h->x'.T", "h->x", Use("x->h", 0.5, transpose=True)),
        ("W == 3 * V", "h->h@2", Use("W", 1 / 3, transpose=True)),
        ("V.T == W", "h->h@1", Use("V", transpose=True)),
    ],
)
def test_an_equality_is_a_tie(text: str, owner: str, use: Use) -> None:
    network = fold(text)
    assert dict(network.uses())[owner] == use
    assert not network.constraints


@pytest.mark.parametrize("factor", ["1e-140", "1e140"])
def test_what_is_no_scale_makes_no_tie(factor: str) -> None:
    """The factor between the ends of the chain is 0, or infinite, in floating point."""
    graph = draw_graph(*(f"{one}.bias == {factor} * {other}.bias" for one, other in ("ab", "bc", "cd")))
    for name in "abcd":
        graph.add_edge("x", name)
    with pytest.raises(graphbptt.SpecError, match="its numbers are out of range"):
        fold_graph(graph)


def test_chains_are_ties_and_what_follows_from_them_is_left_out() -> None:
    graph = draw_graph("a.bias == b.bias", "b.bias == c.bias", "c.bias == a.bias", "b.bias == a.bias")
    for name in "abc":
        graph.add_edge("x", name)
    network = fold_graph(graph)
    assert {dict(network.uses())[f"{name}.bias"].group for name in "abc"} == {"a.bias"}
    assert not network.constraints
    graph.graph["constraints"].append("a.bias == 2 * c.bias")
    model = graphbptt.compile(graph, backend="numpy")
    assert model.network.constraints
    assert not model.parameters["a.bias"].any()


@pytest.mark.parametrize(
    ("text", "edge"),
    [
        ("W == W.T", {}),
        ("x->h == h->x.T + 1", {}),
        ("sum(x->h) == sum(h->x)", {}),
        ("x->h == h->x.T", {"trainable": False}),
        ("x->h[0, :] == h->x[:, 0]", {}),
    ],
)
def test_what_a_tie_cannot_say_stays(text: str, edge: dict[str, Any]) -> None:
    network = fold(text, **edge)
    assert [constraint.text for constraint in network.constraints] == [text]
    assert all(use.group == owner for owner, use in network.uses() if owner in ("x->h", "h->x"))


def test_drawn_entries_stay_where_they_are() -> None:
    sparse = {"weight": {"sparse": {"density": 0.5}}}
    graph = draw_graph("h->x@1 == h->x@2", **sparse)
    graph.add_edge("h", "x", delay=2, **sparse)
    network = fold_graph(graph)
    assert len(network.constraints) == 1
    patterns = [
        connection.pattern for connection in network.connections if connection.name.startswith("h->x")
    ]
    assert patterns[0] != patterns[1]


def test_starting_values_decide_too() -> None:
    graph = draw_graph("x->h == h->x.T", init={"normal": {"std": 0.1}})
    assert not fold_graph(graph).constraints
    graph["x"]["h"][0]["init"] = "glorot"
    assert fold_graph(graph).constraints
    del graph["x"]["h"][0]["init"]
    graph["h"]["x"][0]["init"] = "he"
    # It has no transpose.
    assert fold_graph(graph).constraints


def test_other_constraints_still_know_both_names() -> None:
    graph = draw_graph("x->h == -2*h->x.T", "sum(h->x) == 3", "h->x[0, 1] == x->h[0, 0]")
    graph["h"]["h"][1]["tie"] = {
        "group": "k",
        "index": [[0, 1, 2], [2, 0, 1], [1, 2, None]],
        "factors": np.full((3, 3), 2),
    }
    graph.graph["constraints"].append("h->h@2[1, :] == h->h@1[0, :]")
    model = graphbptt.compile(graph, backend="numpy", dtype="float64")
    weights = model.parameters
    back = -0.5 * weights["x->h"].T
    assert back.sum() == pytest.approx(3)
    assert back[0, 1] == pytest.approx(weights["x->h"][0, 0])
    np.testing.assert_allclose(2 * weights["k"][[2, 0, 1]], weights["W"][0])


def test_a_copy_says_whose_it_is() -> None:
    weights = graphbptt.compile(draw_graph("x->h.T == -2*h->x"), backend="numpy").parameters
    assert "h->x" not in weights
    for name, copy, group in (("h->x", "-0.5*x->h.T", "x->h"), ("h->h@2", "V.T", "V"), ("h->h@1", "W", "W")):
        with pytest.raises(KeyError) as caught:
            weights[name]
        said = f"no parameter {name!r}: it is tied, as a copy {copy}; its numbers are those of {group!r}"
        assert caught.value.args == (said,)
    with pytest.raises(KeyError, match="it is tied"):
        weights["h->h@1"] = np.zeros((3, 3))


def test_many_equalities_take_no_longer_each() -> None:
    pairs = [(f"n{number}", f"n{number + 1}") for number in range(0, 2000, 2)]
    graph: nx.DiGraph[str] = nx.DiGraph(constraints=[f"{one}.bias == {other}.bias" for one, other in pairs])
    graph.add_edges_from((one, other) for pair in pairs for one, other in (pair, pair[::-1]))
    start = time.process_time()
    network = fold_graph(graph)
    assert time.process_time() - start < 5
    assert not network.constraints
    assert network.group.keys().isdisjoint(f"{other}.bias" for _, other in pairs)
