"""The hand-written networks the compiled ones are compared with: right before they are fast."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import memory
from benchmarks.contenders import sparse_rows
from benchmarks.problem import Problem, Sizes, draw_problem
from benchmarks.registry import HAND_WRITTEN, WORKLOADS
from benchmarks.workloads.sparse import draw_places

NETWORKS = {workload.network.name: workload.network for workload in WORKLOADS.values()}
CONTENDERS = [(network, name) for network, peers in HAND_WRITTEN.items() for name in peers]
# Odd widths, so that rows end inside a cache line.
SHAPES = [(3, 5, 2, 7), (2, 3, 1, 4)]


def draw(network: str, shape: tuple[int, int, int, int], dtype: str = "float64") -> Problem:
    entries = shape[1] ** 2 // 3 if network == "sparse" else 0
    return draw_problem(Sizes(*shape, gates=len(NETWORKS[network].gates), entries=entries), dtype, seed=1)


def loss_by_definition(network: str, problem: Problem) -> float:
    """The textbook's equations, a step at a time."""
    p, sizes = problem.parameters, problem.sizes
    state = np.zeros((sizes.batch, sizes.hidden))
    cell = np.zeros_like(state)
    recurrent = p["recurrent"]
    if sizes.entries:
        recurrent = np.zeros((sizes.hidden, sizes.hidden))
        recurrent[draw_places(sizes)] = p["recurrent"]
    total = 0.0
    for x, wanted in zip(problem.x, problem.wanted, strict=True):
        net = x @ p["input"] + state @ recurrent + p["bias"]
        if network != "lstm":
            state = np.tanh(net)
        else:
            output, admit, forget = (1 / (1 + np.exp(-block)) for block in np.split(net, 4, axis=1)[:3])
            cell = forget * cell + admit * np.tanh(np.split(net, 4, axis=1)[3])
            state = output * np.tanh(cell)
        total += float(((state @ p["readout"] + p["readout_bias"] - wanted) ** 2).sum())
    return total / 2 / (sizes.steps * sizes.batch)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("network", "name"), CONTENDERS)
def test_loss_and_gradients(
    network: str, name: str, shape: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        memory, "BLOCK_BYTES", 3 * shape[1] * shape[2] * 8
    )  # three steps, so that blocks meet
    monkeypatch.setattr(sparse_rows, "COLUMNS", 3 * shape[2])
    problem = draw(network, shape)
    contender = HAND_WRITTEN[network][name](problem)
    contender()
    assert contender() == pytest.approx(loss_by_definition(network, problem), rel=1e-12)
    for parameter, gradient in contender.gradients.items():
        values, slopes = problem.parameters[parameter], np.zeros_like(gradient)
        for index in np.ndindex(values.shape):
            kept, ends = values[index], []
            for shift in (1e-5, -1e-5):
                values[index] = kept + shift
                ends.append(loss_by_definition(network, problem))
            values[index] = kept
            slopes[index] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-9, err_msg=parameter)


@pytest.mark.parametrize(("network", "name"), CONTENDERS)
def test_single_precision(network: str, name: str) -> None:
    double, single = (draw(network, (4, 8, 3, 6), dtype) for dtype in ("float64", "float32"))
    contender = HAND_WRITTEN[network][name](single)
    assert contender() == pytest.approx(loss_by_definition(network, double), rel=1e-5)
    assert all(gradient.dtype == np.float32 for gradient in contender.gradients.values())
