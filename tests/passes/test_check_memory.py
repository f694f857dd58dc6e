"""Networks that no memory holds."""

from __future__ import annotations

import networkx as nx
import pytest

import graphbptt
from graphbptt.errors import DataError, SpecError
from graphbptt.passes.check_memory import check_batch, check_memory, measure_memory
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


def test_states_of_a_batch_are_counted() -> None:
    network = fold_graph(nx.DiGraph([("x", "h"), ("h", "h")]))
    check_batch(network, size=3, steps=10, memory=3 * 10 * 2 * 4)
    with pytest.raises(DataError) as caught:
        check_batch(network, size=3, steps=10, memory=3 * 10 * 2 * 4 - 1)
    (problem,) = caught.value.problems
    assert problem.what.startswith("the states of 10 steps of 3 sequences take 0.0 GiB")
    assert problem.instead == "at most 9 steps fit"
    with pytest.raises(DataError, match="give fewer sequences at a time"):
        check_batch(network, size=3, steps=1, memory=20)


@pytest.mark.skipif(measure_memory() is None, reason="the system does not say how much memory it has")
@pytest.mark.parametrize("steps", [2**40, 2**62, 2**63, 2**64])
def test_too_many_steps(steps: int) -> None:
    """Also where 64 bits do not count them."""
    model = graphbptt.compile(nx.DiGraph([("h", "h")]))
    with pytest.raises(DataError, match=r"steps: the states of .* steps of 1 sequences take .* steps fit$"):
        model.run({}, steps=steps)
