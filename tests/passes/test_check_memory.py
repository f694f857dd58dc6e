"""Networks that no memory holds."""

from __future__ import annotations

import networkx as nx
import pytest

import graphbptt
from graphbptt.errors import SpecError
from graphbptt.passes.check_memory import check_memory, measure_memory
from graphbptt.passes.fold_graph import fold_graph


def test_what_is_needed_is_counted() -> None:
    graph = nx.DiGraph([("x", "h"), ("h", "h")])
    graph.add_node("h", units=10, bias=False)
    graph.add_edge("x", "h", trainable=False)
    network = fold_graph(graph)
    needed = 4 * (10 + 2 * 100 + 11)
    check_memory(network, needed)
    with pytest.raises(SpecError) as caught:
        check_memory(network, needed - 1)
    (problem,) = caught.value.problems
    assert problem.path == "node h.units"
    assert "10 units: the network has 110 parameters and 11 states" in problem.what
    assert problem.instead == "declare fewer units or sparse weights: 110 parameters fit"


@pytest.mark.skipif(measure_memory() is None, reason="the system does not say how much memory it has")
@pytest.mark.parametrize("edges", [[("h", "h")], []])
def test_too_many_units(edges: list[tuple[str, str]]) -> None:
    graph = nx.DiGraph(edges)
    graph.add_node("h", units=10**13)
    with pytest.raises(SpecError, match=r"node h\.units: 10,000,000,000,000 units: .* parameters fit$"):
        graphbptt.compile(graph)
