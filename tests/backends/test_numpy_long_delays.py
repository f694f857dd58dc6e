"""What a call costs, beside NumPy's own work, does not depend on the number of rows that a delay needs."""

from __future__ import annotations

import sys
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt


def count_calls(delay: int, fields: dict[str, Any]) -> int:
    """The functions that a pass forward and backward calls, Python's own among them, after one that allocates."""
    graph = nx.DiGraph()
    graph.add_node("h", initial="learned", activation="tanh")
    graph.add_edge("h", "h", delay=delay)
    model = graphbptt.compile(graph, [], [graphbptt.Target("h", "wanted")], backend="numpy")
    batch, gradient = model.bind(fields), np.zeros_like(model.vector)
    model.loss_and_gradient(batch, gradient)
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        model.loss_and_gradient(batch, gradient)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("lengths", [{}, {"lengths": [3, 1]}])
@pytest.mark.parametrize("ahead", [1, -1])
def test_rows_around_the_steps_are_filled_at_once(lengths: dict[str, Any], ahead: int) -> None:
    fields = {"wanted": np.ones((2, 3, 1)), **lengths}
    assert count_calls(400 * ahead, fields) == count_calls(2 * ahead, fields)
