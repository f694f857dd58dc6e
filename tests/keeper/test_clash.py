"""Contradictions are named by smallest sets of constraints and signs."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest

import graphbptt
from graphbptt.errors import SpecError


def compile_with(*texts: str, **edge: Any) -> graphbptt.Model:
    graph = nx.DiGraph([("h", "y")], constraints=list(texts))
    graph.nodes["h"]["units"] = 4
    graph.add_edge("h", "h", tie="W", **edge)
    return graphbptt.compile(graph, backend="numpy", dtype="float64")


@pytest.mark.parametrize(
    ("texts", "edge", "clashing"),
    [
        (["W[0,0] == 1", "W[0,0] == 2"], {}, {"W[0,0] == 1", "W[0,0] == 2"}),
        (
            ["W == -W.T", "W[1,1] == 1", "sum(W, axis=1) == 0", "W[0,1] == 3"],
            {},
            {"W == -W.T", "W[1,1] == 1"},
        ),
        (
            ["W[0,0] + W[0,1] == 1", "W[0,1] + W[0,2] == 1", "W[0,0] - W[0,2] == 1", "W[0,3] + W[0,0] == 0"],
            {},
            {"W[0,0] + W[0,1] == 1", "W[0,1] + W[0,2] == 1", "W[0,0] - W[0,2] == 1"},
        ),
        (["sum(W) == -1", "W[0,0] + y.bias[0] == 2"], {"sign": "excitatory"}, {"sum(W) == -1"}),
        (["W - W == W[0,0]", "sum(W) == 1"], {"trainable": False}, {"W - W == W[0,0]", "sum(W) == 1"}),
    ],
)
def test_the_set_is_minimal(texts: list[str], edge: dict[str, Any], clashing: set[str]) -> None:
    with pytest.raises(SpecError) as caught:
        compile_with(*texts, **edge)
    assert {problem.path.removeprefix("constraint ") for problem in caught.value.problems} == clashing
    assert all("off by" in problem.what for problem in caught.value.problems)


def test_each_says_what_it_contradicts() -> None:
    with pytest.raises(
        SpecError, match=r"constraint sum\(W\) == -1: it contradicts the sign of W: the nearest"
    ):
        compile_with("sum(W) == -1", sign="excitatory")
    with pytest.raises(
        SpecError, match=r"W\[0,0\] == 1: it contradicts W\[0,0\] == 2: the nearest .* off by 0.5"
    ):
        compile_with("W[0,0] == 1", "W[0,0] == 2")
    with pytest.raises(SpecError, match=r"W == 3: it contradicts parameters that are not trained"):
        compile_with("W == 3", trainable=False)


def test_two_contradictions_are_both_told() -> None:
    texts = ["W[0,0] == 1", "W[0,0] == 2", "W[1,1] == 1", "W[1,1] == 2"]
    with pytest.raises(SpecError) as caught:
        compile_with(*texts)
    assert len(caught.value.problems) == 4
