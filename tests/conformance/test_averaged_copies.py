"""The mean over copies is that over the steps that some sequence has: padding has none."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from agreement import BACKENDS

import graphbptt
from graphbptt.backend import find_backend
from graphbptt.ir.batch import CarriedState
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.cut_batch import cut_batch

pytestmark = pytest.mark.usefixtures("hurried_compiler")

EVERY = [*BACKENDS, "reference"]
STEPS = 4


def compile_averaging(backend: str, combine: str = "mean") -> graphbptt.Model:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node(
        "h", units=2, activation="tanh", bias={"init": 0.1, "tie": {"group": "b", "combine": combine}}
    )
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "h", tie={"group": "w", "combine": combine})
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("h", "y")]
    return graphbptt.compile(graph, inputs, targets, backend=backend, dtype="float64")


def draw_fields(padding: int, lengths: list[int]) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, STEPS, 1)), generator.normal(size=(2, STEPS, 2))
    widths = (0, 0), (0, padding), (0, 0)
    return {"x": np.pad(x, widths), "y": np.pad(y, widths), "lengths": np.array(lengths)}


@pytest.mark.parametrize("lengths", [[4, 4], [2, 4], [3, 1]])
@pytest.mark.parametrize("backend", EVERY)
def test_more_padding_changes_nothing(backend: str, lengths: list[int]) -> None:
    averaging, adding = (compile_averaging(backend, combine) for combine in ("mean", "sum"))
    total = adding.loss_and_gradients(draw_fields(0, lengths))[1]
    for padding in (0, 4, 12):
        found = averaging.loss_and_gradients(draw_fields(padding, lengths))[1]
        for group in ("w", "b"):
            np.testing.assert_allclose(found[group], total[group] / max(lengths), rtol=1e-12)


def test_so_many_lengths_as_are_kept_and_more() -> None:
    """Each counted anew where it is no longer known."""
    averaging, adding = (compile_averaging("numpy", combine) for combine in ("mean", "sum"))
    for longest in [*range(1, 21), *range(1, 21)]:
        fields = draw_fields(20, [longest, 1])
        total, found = adding.loss_and_gradients(fields)[1], averaging.loss_and_gradients(fields)[1]
        np.testing.assert_allclose(found["w"], total["w"] / longest, rtol=1e-12)


@pytest.mark.parametrize(("start", "copies"), [(1, 2), (2, 1), (3, 1)])
@pytest.mark.parametrize("backend", EVERY)
def test_a_window_has_the_copies_of_its_own_steps(backend: str, start: int, copies: int) -> None:
    """In the last window all sequences are over: nothing is divided by 0."""
    gradients = []
    for combine in ("mean", "sum"):
        model = compile_averaging(backend, combine)
        batch = bind_batch(model.plan.network, draw_fields(2, [2, 3]), dtype=np.float64)
        rows = {
            name: np.full((p.history, 2, p.units), 0.5) for name, p in model.plan.network.population.items()
        }
        window = cut_batch(model.plan.network, batch, start, 6, carried=CarriedState(rows, start))
        gradient = np.empty(model.plan.layout.free)
        executable = find_backend(backend).build(model.plan, np.dtype(np.float64))
        executable.loss_and_gradient(model.vector, window, gradient)
        gradients.append(model.plan.layout.view(gradient, "w").copy())
    assert (gradients[1] != 0).any() == (start < 3)
    np.testing.assert_allclose(gradients[0], gradients[1] / copies, rtol=1e-12)
