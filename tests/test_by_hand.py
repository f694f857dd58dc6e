"""Two calculations small enough to be done by hand, with every number on the way."""

from __future__ import annotations

import networkx as nx
import numpy as np

from graphbptt.ir.data import Clamp, Last, Target
from graphbptt.ir.layout import place_parameters
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.reference import (
    ForwardPass,
    add_copies,
    derive_copies,
    measure_losses,
    reference_loss_and_gradient,
    run_reference,
)


def walk(
    graph: nx.DiGraph, clamps: list[Clamp], targets: list[Target], fields: dict, steps: int
) -> ForwardPass:
    """Run forward from the initial values of the parameters."""
    network = fold_graph(graph, clamps, targets)
    layout = place_parameters(network)
    vector = np.zeros(layout.size)
    for group in network.groups:
        layout.view(vector, group.name)[...] = group.init.values
    return run_reference(network, layout, vector, bind_batch(network, fields, steps, np.float64))


def test_one_time_step_one_hidden_layer() -> None:
    """x -> h -> y inside one step, both weights tied to w = 2; h squares its net input.

    forward:   net_h = w x = 2 * 0.5 = 1,   h = net_h**2 = 1,   y = w h = 2 * 1 = 2
    loss:      E = (y - 3)**2 / 2 = 0.5
    backward:  dE/dy = 2 - 3 = -1,   dE/dh = w dE/dy = -2,   dE/dnet_h = 2 net_h dE/dh = -4
    copies:    of h->y: h dE/dy = 1 * -1 = -1,   of x->h: x dE/dnet_h = 0.5 * -4 = -2
    the group: -1 + -2 = -3, which is (w**3/4 - 3) * 3 w**2/4, the derivative of E = (w (w x)**2 - 3)**2 / 2
    """
    graph = nx.DiGraph()
    graph.add_node("x")
    graph.add_node("h", activation="net ** 2", bias=False)
    graph.add_node("y", bias=False)
    graph.add_edge("x", "h", delay=0, tie="w", init=2.0)
    graph.add_edge("h", "y", delay=0, tie="w")
    fields = {"input": [[[0.5]]], "output": [[[3.0]]]}
    forward = walk(graph, [Clamp("x", "input")], [Target("y", "output")], fields, 1)
    assert {node: state.item() for (node, step), state in forward.states.items() if step == 1} == {
        "x": 0.5,
        "h": 1.0,
        "y": 2.0,
    }
    assert measure_losses(forward).tolist() == [0.5]
    copies = derive_copies(forward)
    assert {(copy.owner, copy.step): value.item() for copy, value in copies.items()} == {
        ("x->h", 1): -2.0,
        ("h->y", 1): -1.0,
    }
    assert add_copies(forward.network, copies)["w"].item() == -3.0


def test_the_mean_of_the_copies() -> None:
    """The same network, but w combines its copies by their mean: -3 / 2."""
    graph = nx.DiGraph()
    graph.add_node("h", activation="net ** 2", bias=False)
    graph.add_node("y", bias=False)
    tie = {"group": "w", "combine": "mean"}
    graph.add_edge("x", "h", delay=0, tie=tie, init=2.0)
    graph.add_edge("h", "y", delay=0, tie=tie)
    fields = {"input": [[[0.5]]], "output": [[[3.0]]]}
    forward = walk(graph, [Clamp("x", "input")], [Target("y", "output")], fields, 1)
    assert add_copies(forward.network, derive_copies(forward))["w"].item() == -1.5


def test_two_time_steps() -> None:
    """h[t] = (w h[t-1])**2 with w = 0.5, from the learned initial state h[0] = 1; a target at the last step.

    forward:   h[1] = (0.5 * 1)**2 = 0.25,   h[2] = (0.5 * 0.25)**2 = 0.015625
    loss:      E = (h[2] - 1.015625)**2 / 2 = 0.5
    backward:  dE/dh[2] = -1,       dE/dnet[2] = 2 * 0.125 * -1     = -0.25
               dE/dh[1] = 0.5 * -0.25 = -0.125,   dE/dnet[1] = 2 * 0.5 * -0.125  = -0.125
               dE/dh[0] = 0.5 * -0.125 = -0.0625
    copies:    of w at step 2: h[1] dE/dnet[2] = -0.0625,   at step 1: h[0] dE/dnet[1] = -0.125
    the group: -0.0625 + -0.125 = -0.1875
    """
    graph = nx.DiGraph()
    graph.add_node("h", activation="net ** 2", bias=False, initial={"init": 1.0})
    graph.add_edge("h", "h", init=0.5)
    fields = {"wanted": [[1.015625]]}
    forward = walk(graph, [], [Target("h", "wanted", at=Last(1))], fields, 2)
    assert [forward.states["h", step].item() for step in (0, 1, 2)] == [1.0, 0.25, 0.015625]
    assert measure_losses(forward).tolist() == [0.5]
    copies = derive_copies(forward)
    assert {(copy.owner, copy.step): value.item() for copy, value in copies.items()} == {
        ("h->h", 2): -0.0625,
        ("h->h", 1): -0.125,
        ("h.initial", 0): -0.0625,
    }
    combined = add_copies(forward.network, copies)
    assert combined["h->h"].item() == -0.1875
    layout = place_parameters(forward.network)
    vector = np.array([0.5, 1.0])
    _, gradient = reference_loss_and_gradient(forward.network, layout, vector, forward.batch)
    assert gradient.tolist() == [-0.1875, -0.0625]
