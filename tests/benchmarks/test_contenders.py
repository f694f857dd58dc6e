"""The contenders compute the same as the reference executor, at sizes that take no time: right before they are fast."""

from __future__ import annotations

import dataclasses
import importlib

import numpy as np
import pytest

from benchmarks.registry import WORKLOADS, Workload, draw_problem, find_contender

PEERS = {"torch": "torch", "torch_loop": "torch", "jax": "jax"}
"""The library that a contender needs."""


def shrink(workload: Workload, hidden: int, batch: int, steps: int) -> Workload:
    """The same network, small; widths are odd where they may be, so that rows end inside a cache line."""
    hidden *= {"clockwork": 8, "custom": 3, "units": 2}.get(workload.network.name, 1)
    entries = hidden**2 // 3 if workload.sizes.entries else 0
    sizes = dataclasses.replace(
        workload.sizes, inputs=3, hidden=hidden, batch=batch, steps=steps, entries=entries
    )
    return dataclasses.replace(workload, sizes=sizes)


CASES = sorted(
    {
        (item.network.name, item.timed, contender): item
        for item in WORKLOADS.values()
        for contender in item.contenders
        if contender not in ("floor", "torch_compile")  # the one computes nothing, the other takes minutes
    }.items(),
    key=lambda case: case[0],
)


@pytest.mark.parametrize("shape", [(5, 2, 7), (4, 1, 3)], ids=str)
@pytest.mark.parametrize(
    ("contender", "workload"),
    [pytest.param(name[2], item, id="-".join(name)) for name, item in CASES],
)
def test_a_contender_agrees_with_the_reference(
    contender: str, workload: Workload, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if contender in PEERS:
        pytest.importorskip(PEERS[contender])
    hidden, batch, _ = shape
    memory = importlib.import_module("benchmarks.contenders.by_hand.memory")
    sparse = importlib.import_module("benchmarks.contenders.by_hand.sparse_rows")
    monkeypatch.setattr(memory, "BLOCK_BYTES", 3 * hidden * batch * 8)  # three steps, so that blocks meet
    monkeypatch.setattr(sparse, "COLUMNS", 3 * batch)
    workload = shrink(workload, *shape)
    problem = draw_problem(workload, "float64", seed=1)
    calls = 3 if workload.timed == "step" else 2
    results = []
    for name in (contender, "reference"):
        made = find_contender(name, workload)(workload.network, problem, False)
        losses = [made() for _ in range(calls)]
        results.append((losses[-1], made.gradients))
    (loss, gradients), (expected, slopes) = results
    assert loss == pytest.approx(expected, rel=1e-10)
    if workload.timed == "step":
        np.testing.assert_allclose(gradients["y"], slopes["y"], rtol=1e-10)
        return
    named = workload.network.split(gradients, workload.sizes)
    for group, slope in workload.network.split(slopes, workload.sizes).items():
        np.testing.assert_allclose(named[group], slope, rtol=1e-9, atol=1e-12, err_msg=group)


@pytest.mark.parametrize("contender", ["jax", "torch_compile"])
def test_pieces_of_steps_know_which_modules_act(contender: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip({"torch_compile": "torch", **PEERS}[contender])
    monkeypatch.setattr(library, "compile", lambda function: function, raising=False)  # it takes minutes
    workload = shrink(WORKLOADS["clockwork"], 2, 2, 24)
    problem = draw_problem(workload, "float64")
    made, expected = (
        find_contender(name, workload)(workload.network, problem, False) for name in (contender, "reference")
    )
    assert made() == pytest.approx(expected(), rel=1e-10)
    slopes = expected.gradients
    for group, slope in workload.network.split(made.gradients, workload.sizes).items():
        np.testing.assert_allclose(
            slope, workload.network.split(slopes, workload.sizes)[group], rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("name", ["tanh_16_by_hand", "lstm_16_by_hand", "sparse"])
def test_contenders_keep_single_precision(name: str) -> None:
    workload = shrink(WORKLOADS[name], 8, 3, 6)
    problem = draw_problem(workload, "float32")
    for contender in workload.contenders:
        made = find_contender(contender, workload)(workload.network, problem, False)
        made()
        assert all(gradient.dtype == np.float32 for gradient in made.gradients.values())
