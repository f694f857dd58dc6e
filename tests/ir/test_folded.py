"""What a folded network knows of its copies: which steps clamps fix, and how many copies are left."""

from __future__ import annotations

import itertools
import time

import networkx as nx
import numpy as np

import graphbptt
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.passes.fold_graph import fold_graph


def fold(*clamps: graphbptt.Clamp, combine: str = "mean") -> FoldedNetwork:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("h", units=3)
    graph.add_edge("h", "h", tie={"group": "W", "combine": combine})
    return fold_graph(graph, clamps)


def test_a_step_is_fixed_where_clamps_together_set_all_units() -> None:
    network = fold(
        graphbptt.Clamp("h", "a", (0,)),
        graphbptt.Clamp("h", "b", (1,), at=(1, 2, 5)),
        graphbptt.Clamp("h", "c", (2,), at=(2, 3, 5)),
        graphbptt.Clamp("h", "d", (1, 2), at=(3,), mask="m"),
        graphbptt.Clamp("h", "e", (1, 2), at=(7,)),
    )
    assert network.clamped_units("h") == {0}
    assert network.fixed_steps == {"h": {2, 5, 7}}


def test_copies_are_counted_alike_however_the_steps_are_said() -> None:
    network = fold(graphbptt.Clamp("h", "a", at=(2, 3, 6)))
    for offset, steps in itertools.product(range(8), range(1, 8)):
        counted = network.count_entries(steps, "W", offset=offset)
        assert np.array_equal(counted, network.after(offset).count_entries(steps, "W"))
        assert (counted == steps - len({2, 3, 6} & {*range(offset + 1, offset + steps + 1)})).all()


def test_many_listed_steps_take_no_longer_each() -> None:
    steps = tuple(range(1, 40_001))
    network = fold(graphbptt.Clamp("h", "a", (0, 1), at=steps), graphbptt.Clamp("h", "b", (2,), at=steps[1:]))
    start = time.process_time()
    assert len(network.fixed_steps["h"]) == 39_999
    assert time.process_time() - start < 2
