"""What constraints and signs leave of parameters, before any are learned."""

from __future__ import annotations

import networkx as nx
import pytest

import graphbptt


@pytest.mark.parametrize(
    ("constraints", "sign", "vanishes"),
    [
        (["W == -W.T", "W == W.T"], None, True),
        (["W == -W.T"], "excitatory", True),
        (["W == -W.T"], None, False),
        (["W == W.T"], "inhibitory", False),
        (["sum(W) == 0"], None, False),
    ],
)
def test_explain_says_of_what_nothing_but_0_is_left(
    constraints: list[str], sign: str | None, vanishes: bool
) -> None:
    graph = nx.DiGraph(constraints=constraints)
    graph.add_node("h", units=3, activation="tanh")
    graph.add_edge("h", "h", tie="W", **({} if sign is None else {"sign": sign}))
    model = graphbptt.compile(graph, backend="numpy", dtype="float64")
    said = model.explain().startswith("constraints and signs leave nothing but 0 for W\n")
    assert said == vanishes
    assert (abs(model.parameters["W"]).max() < 1e-12) == vanishes
