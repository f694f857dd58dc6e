"""Who is timed how often, and which contenders agree."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from compiled import NOWHERE, toolchain

from benchmarks.contenders.floor import SIDE, TRIALS, Floor, bind_products, find_fastest
from benchmarks.measure import SLOW, SLOW_ROUNDS, Manner, _compare, _take_turns, measure_workload
from benchmarks.problem import Problem
from benchmarks.process import explain_end
from benchmarks.registry import WORKLOADS, draw_problem
from graphbptt_native import Equipment, NativeBackend


def write_result(path: Path, problem: Problem, wrong: float) -> Path:
    gradients = {f"of {name}": array.copy() for name, array in problem.parameters.items()}
    gradients["of recurrent"] *= 1 + wrong
    np.savez(path, loss=1.0, **gradients)  # type: ignore[arg-type]
    return path


def test_gradients_that_differ_are_named(tmp_path: Path) -> None:
    workload = WORKLOADS["tiny"]
    problem = draw_problem(workload)
    near = {
        name: write_result(tmp_path / f"{name}.npz", problem, wrong)
        for name, wrong in (("a", 0.0), ("b", 1e-5))
    }
    assert _compare(workload, near, "float32") == pytest.approx(1e-5, rel=0.05)
    far = {**near, "c": write_result(tmp_path / "c.npz", problem, 1e-3)}
    with pytest.raises(ValueError, match=r"tiny: c and a differ in recurrent by 1\.0e-03"):
        _compare(workload, far, "float32")


def test_the_slow_are_timed_in_fewer_rounds() -> None:
    asked: list[str] = []

    def answer(name: str, seconds: float) -> float:
        asked.append(name)
        return seconds

    asks = {
        name: lambda name=name, seconds=seconds: answer(name, seconds)
        for name, seconds in (("fast", 1.0), ("slow", SLOW + 1.0), ("floor", 0.01))
    }
    samples, lost = _take_turns(asks, 0, 5)
    assert not lost
    assert {name: len(taken) for name, taken in samples.items()} == {
        "fast": 5,
        "slow": SLOW_ROUNDS,
        "floor": 5,
    }
    assert asked[:6] == ["fast", "slow", "floor", "slow", "floor", "fast"]


def test_who_ends_is_lost_and_the_others_are_timed_on() -> None:
    answers = iter([1.0])

    def end() -> float:
        for answer in answers:
            return answer
        raise RuntimeError("ended by signal 9")

    samples, lost = _take_turns({"lost": end, "kept": lambda: 1.0}, 0, 5)
    assert lost == {"lost": "ended by signal 9"}
    assert len(samples["kept"]) == 5
    assert _take_turns({"lost": end}, 3600, 5)[1] == lost  # nobody is left to be timed for an hour


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("os._exit(3)", "ended with status 3"),
        ("HostClock.start = lambda self: os.kill(os.getpid(), signal.SIGKILL)", "ended by signal 9"),
        ("memory.measure_peak = lambda: os._exit(4)", "ended with status 4"),
    ],
    ids=["at the start", "in a round", "at the end"],
)
def test_who_ends_silently_is_absent(
    fault: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two processes is made to end; why is said, and the other is timed."""
    head = "import os, signal, sys\nfrom benchmarks import memory\nfrom benchmarks.clocks import HostClock"
    broken = f"{head}\nif 'hoisted' in sys.orig_argv:\n    {fault}\n"
    (tmp_path / "sitecustomize.py").write_text(broken)  # which each process imports first
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    workload, manner = WORKLOADS["tanh_16_by_hand"], Manner(rounds=2, seconds=0)
    measured = measure_workload(workload, ("numpy", "hoisted"), manner)
    assert measured.absent == {"hoisted": said}
    assert len(measured.timings["numpy"].seconds) == 2


@pytest.mark.parametrize(
    ("status", "errors", "said"),
    [
        (1, "Traceback ...\nModuleNotFoundError: No module named 'jax'\n", "No module named 'jax'"),
        (1, "Traceback ...\nMemoryError\n", "MemoryError"),
        (1, "", "ended with status 1"),
        (3, "warning: slow\nno such device\n", "ended with status 3: no such device"),
        (-9, "", "ended by signal 9"),
    ],
)
def test_why_a_process_ended(status: int, errors: str, said: str) -> None:
    assert explain_end(status, errors) == said


@pytest.mark.parametrize(
    ("name", "products"),
    [
        ("rnn", 2 * 64 * 256 + 3 * (256 * 256 + 256 * 64)),
        # The modules act at every step, every second one, and so on; they read themselves and the slower ones.
        (
            "clockwork",
            2 * 64 * 64 * sum(0.5**k for k in range(8))
            + 3 * 512 * 64
            + 3 * sum(0.5**k * (512 - 64 * k) * 64 for k in range(8)),
        ),
    ],
)
def test_the_floor_counts_what_is_needed(name: str, products: float) -> None:
    workload = WORKLOADS[name]
    floor = Floor(workload.network, draw_problem(workload), False)
    sizes = workload.sizes
    assert floor.calls_per_batch == pytest.approx(products * sizes.steps * sizes.batch / SIDE**3)


def test_the_floor_is_that_of_the_faster_product() -> None:
    asked: list[str] = []

    def wait() -> None:
        asked.append("slow")
        time.sleep(0.01)

    fast = partial(asked.append, "fast")
    assert find_fastest([wait, fast]) is fast
    assert asked == ["slow"] * TRIALS + ["fast"] * TRIALS


@pytest.mark.parametrize("compiler", [True, False])
def test_products_of_the_floor_agree(compiler: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if compiler:
        toolchain()  # or the test is skipped
    else:
        monkeypatch.setattr(NativeBackend, "equipment", Equipment(NOWHERE, "there is no compiler"))
    rng = np.random.default_rng(0)
    left, right = rng.random((2, 300, 70), np.float32)
    out = np.empty((70, 70), np.float32)
    calls = bind_products(left, right, out)
    assert len(calls) == 1 + compiler
    # Threads of NumPy's library, which spin after a call, must find nothing of ours to slow down.
    assert getattr(calls[-1], "func", None) is np.dot
    for call in calls:
        out.fill(np.nan)
        call()
        np.testing.assert_allclose(out, left.T @ right, rtol=1e-5)
