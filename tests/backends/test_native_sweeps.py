"""Sweeps in C at sizes where everything is divided: columns into panels, steps into blocks, a batch between cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import assert_agreement
from compiled import NOWHERE, toolchain

from graphbptt.compiler import compile_network
from graphbptt.ir.batch import Batch
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_native import threads
from graphbptt_native.executable import NativeExecutable

INPUTS, OUTPUTS = 9, 3


def stacked() -> FoldedNetwork:
    """Layers of every mode above each other, each read at several delays, one of them through sparse weights."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=INPUTS)
    graph.add_node("low", units=70, activation="tanh", initial="learned")
    graph.add_node("early", units=40, activation="logistic", noise=0.1)
    graph.add_node("back", units=33, activation="tanh")
    graph.add_node("y", units=OUTPUTS, activation="softmax")
    graph.add_edge("low", "low")
    graph.add_edge("back", "back", delay=-1)
    for source, target, delays in (
        ("x", "low", (0,)), ("low", "early", (0, 2)), ("early", "back", (0, 1, -1)), ("low", "back", (3,)),
        ("back", "y", (0, 1)), ("early", "y", (0,)),
    ):  # fmt: skip
        for delay in delays:
            graph.add_edge(source, target, delay=delay)
    graph.add_edge("low", "back", delay=0, weight={"sparse": {"density": 0.1}, "storage": "csr"})
    return fold_graph(graph, [Clamp("x", "x")], [Target("y", "label", "cross_entropy")])


def lagging() -> FoldedNetwork:
    """A component whose populations are at different steps, behind a layer that it reads as a whole."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=INPUTS)
    graph.add_node("in", units=20, activation="tanh")
    graph.add_node("a", units=37, activation="tanh", noise=0.3)
    graph.add_node("b", units=18, activation="softmax", initial="learned")
    graph.add_node("c", units=37, activation="0.8 * c[t-1] + 0.2 * tanh(net) * a")
    graph.add_node("y", units=OUTPUTS)
    graph.add_edge("x", "in", delay=0)
    graph.add_edge("in", "a", delay=0)
    graph.add_edge("in", "c")
    graph.add_edge("a", "b")
    graph.add_edge("b", "a")
    graph.add_edge("c", "a", delay=2)
    graph.add_edge("a", "c", delay=-1)
    graph.add_edge("c", "y", delay=0)
    return fold_graph(graph, [Clamp("x", "x")], [Target("y", "y")])


NETWORKS = (stacked, lagging)
SHAPES = ((37, 5, True), (13, 23, False), (1, 150, False), (1, 70, True), (70, 3, False))
"""Batch, steps and whether sequences differ in length."""


@cache
def compiled(network: Callable[[], FoldedNetwork]) -> tuple[Plan, np.ndarray]:
    plan = compile_network(network())
    return plan, draw_parameters(plan.network, plan.layout, 1, np.float64)


@cache
def build(network: Callable[[], FoldedNetwork], cores: int) -> NativeExecutable:
    return NativeExecutable(compiled(network)[0], np.dtype(np.float64), toolchain(), NOWHERE, cores)


def draw_batch(network: FoldedNetwork, size: int, steps: int, ragged: bool) -> Batch:
    random = np.random.default_rng(size)
    fields = {
        "x": random.normal(size=(size, steps, INPUTS)),
        "y": random.normal(size=(size, steps, OUTPUTS)),
        "label": random.integers(OUTPUTS, size=(size, steps)),
    }
    if ragged:
        fields["lengths"] = random.integers(1, steps + 1, size)
    read = {"lengths", *(item.field for item in (*network.clamps, *network.targets))}
    wanted = {name: field for name, field in fields.items() if name in read}
    return bind_batch(network, wanted, steps, np.float64)


@pytest.fixture
def many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little there is to do, it is split."""
    monkeypatch.setattr(threads, "FLOPS_WORTH_A_THREAD", 1.0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.usefixtures("many_threads")
def test_agrees_with_the_reference(
    network: Callable[[], FoldedNetwork], shape: tuple[int, int, bool]
) -> None:
    plan, vector = compiled(network)
    assert_agreement(plan, build(network, 3), vector, draw_batch(plan.network, *shape))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.usefixtures("many_threads")
def test_parts_are_the_whole_to_the_last_bit(network: Callable[[], FoldedNetwork]) -> None:
    """Blocks of steps, where the batch is whole, and single steps, where it is not, round alike."""
    plan, vector = compiled(network)
    batch = draw_batch(plan.network, 13, 23, False)
    for one, other in pairwise(list(compute(build(network, cores), vector, batch)) for cores in (1, 2)):
        for x, y in zip(one, other, strict=True):
            np.testing.assert_array_equal(x, y)


def compute(executable: NativeExecutable, vector: np.ndarray, batch: Batch) -> Iterator[np.ndarray]:
    gradient = np.zeros_like(vector)
    yield executable.loss_and_gradient(vector, batch, gradient)
    yield gradient
    yield from map(np.array, executable.run(vector, batch).values())


@pytest.mark.parametrize("network", NETWORKS)
def test_everything_but_derivatives_of_weights_is_one_call(network: Callable[[], FoldedNetwork]) -> None:
    plan, _ = compiled(network)
    scans = build(network, 1)._program.scans
    assert {index for index, stage in enumerate(plan.stages) if stage.mode != "given"} == {
        index for index, _ in scans
    }
    assert any(scan.sweep.after for scan in scans.values())
