"""Stretches of a batch: what is shared, what is cut, and what counts within them."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from graphbptt.ir.batch import Batch, CarriedState
from graphbptt.ir.data import Clamp, Last, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.cut_batch import cut_batch
from graphbptt.passes.find_lookahead import find_lookahead
from graphbptt.passes.fold_graph import fold_graph


def bind(lengths: list[int] | None = None) -> tuple[FoldedNetwork, Batch]:
    graph: nx.DiGraph[str] = nx.DiGraph([("x", "h"), ("h", "h")])
    clamps = [Clamp("x", "x", at=(1, 4)), Clamp("h", "h0", at="start")]
    network = fold_graph(graph, clamps, [Target("h", "y"), Target("h", "y", at=Last(2))])
    fields = {"x": np.arange(10.0).reshape(2, 5, 1), "h0": np.ones((2, 1)), "y": np.zeros((2, 5, 1))}
    return network, bind_batch(network, fields | ({} if lengths is None else {"lengths": lengths}))


def carry(offset: int) -> CarriedState:
    return CarriedState({"x": np.zeros((1, 2, 1)), "h": np.zeros((1, 2, 1))}, offset)


def test_all_of_a_batch_is_the_batch_itself() -> None:
    network, batch = bind()
    assert cut_batch(network, batch, 0, 5) is batch
    assert cut_batch(network, batch, 0, 5, 0, batch.carried) is batch


def test_values_are_views_of_the_steps() -> None:
    network, batch = bind()
    rest = cut_batch(network, batch, 2, 5, carried=carry(2))
    assert (rest.steps, rest.size, rest.offset) == (3, 2, 2)
    values, mask = rest.clamps[0].values, rest.clamps[0].mask
    assert np.shares_memory(values, batch.clamps[0].values)
    assert values[:, 1, 0].tolist() == [0, 8, 0]
    assert mask is not None
    assert mask[:, 0, 0].tolist() == [False, True, False]


def test_the_last_steps_are_those_of_the_whole_sequences() -> None:
    network, batch = bind([5, 2])
    first = cut_batch(network, batch, 0, 2)
    rest = cut_batch(network, batch, 2, 5, carried=carry(2))
    assert first.lengths is None
    assert rest.lengths is not None
    assert rest.lengths.tolist() == [3, 0]
    assert first.targets[1].weights.T.tolist() == [[0, 0], [1, 1]]
    assert rest.targets[1].weights.T.tolist() == [[0, 1, 1], [0, 0, 0]]
    assert [target.count for target in first.targets] == [4, 2]
    assert [target.count for target in rest.targets] == [3, 2]


def test_targets_may_begin_inside_of_a_stretch() -> None:
    network, batch = bind()
    stretch = cut_batch(network, batch, 0, 4, wanted=3)
    assert stretch.targets[0].weights.T.tolist() == [[0, 0, 0, 1]] * 2
    assert stretch.targets[0].count == 2
    assert batch.targets[0].weights.all()


def test_a_stretch_goes_on_from_something() -> None:
    network, batch = bind()
    with pytest.raises(ValueError, match="steps 3 to 5 need something to go on from"):
        cut_batch(network, batch, 2, 5)


def test_listed_steps_count_from_the_start_of_the_sequences() -> None:
    network, _ = bind()
    assert network.after(0) is network
    assert [clamp.at for clamp in network.after(1).clamps] == [(3,), "start"]
    assert [clamp.at for clamp in network.after(4).clamps] == [(), "start"]
    counted = [network.after(offset).count_copies(2)["h->h"] for offset in range(4)]
    assert counted == [2, 2, 2, 2]
    assert network.after(2).after(1) == network.after(3)


def test_edges_that_look_ahead_are_named() -> None:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_node("h", activation="tanh(net) + x[t+2]")
    graph.add_edge("x", "h", delay=-1)
    graph.add_edge("x", "h", delay=1)
    problems = find_lookahead(fold_graph(graph), "cannot be stepped")
    assert [problem.path for problem in problems] == ["edge x->h@-1", "node h.activation"]
    assert str(problems[1]) == (
        "node h.activation: a network that looks ahead cannot be stepped; read x at no later step, not at [t+2]"
    )
