"""Sequences that end long before the steps do: what goes on behind their ends, until it overflows, reaches nothing."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
from strategies import Case

from graphbptt.backend import Executable
from graphbptt.ir.data import Target
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch

__all__ = ["BEYOND", "RUNAWAY", "assert_padding_reaches_nothing"]

BEYOND = 120
"""In so many steps states that grow a thousandfold in each overflow in double precision."""

GROWTH = 1e3


def _run_away() -> Case:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=3, activation="net * logistic(h[t-1])", initial="learned")
    graph.add_edge("h", "h")
    steps, lengths = 4 + BEYOND, np.array([3, 4, 3, 1])
    fields = {"y": np.ones((4, steps, 3)), "lengths": lengths}
    return Case(graph, [], [Target("h", "y")], fields, steps, 3, frozenset({"y"}))


RUNAWAY = _run_away()
"""Where the derivative of a gate is kept until it is multiplied, and the gate becomes no number."""


def assert_padding_reaches_nothing(plan: Plan, executable: Executable, case: Case) -> None:
    """Neither infinity nor what is made of it: states are to the last bit those of a batch without these steps."""
    vector = GROWTH * case.draw_vector(plan.layout.size)
    (losses, gradient, states), (wanted, slopes, series) = (
        _compute(plan, executable, vector, form) for form in (case, case.trim())
    )
    for node, rows in series.items():
        assert np.array_equal(states[node][: len(rows)], rows, equal_nan=True), node
    np.testing.assert_allclose(losses, wanted, rtol=1e-12)
    for slot in plan.layout.slots:
        if slot.stop > plan.layout.free:
            continue
        found, slope = gradient[slot.offset : slot.stop], slopes[slot.offset : slot.stop]
        np.testing.assert_allclose(found, slope, rtol=1e-9, err_msg=slot.group)


def _compute(
    plan: Plan, executable: Executable, vector: np.ndarray, case: Case
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Losses, derivatives, states."""
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    gradient = np.zeros(plan.layout.free)
    losses = np.array(executable.loss_and_gradient(vector, batch, gradient))
    return losses, gradient, {node: np.array(rows) for node, rows in executable.run(vector, batch).items()}
