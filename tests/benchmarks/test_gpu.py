"""The benchmarks of a GPU, as far as they can be tried without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import gpu
from benchmarks.clocks import EventClock, HostClock, find_clock
from benchmarks.registry import DEVICES, draw_problem, find_contender
from benchmarks.worker import _time_calls
from graphbptt_cupy.presence import find_missing


def test_every_workload_is_measured_beside_all_peers() -> None:
    wanted = {"torch_loop", "torch_compile", "torch_graph", "jax"}
    for name, workload in DEVICES["gpu"].items():
        assert workload.contenders[0] == "cupy"
        assert wanted - set(workload.contenders) == ({"torch_graph"} if name == "step" else set())
        assert {aim.against for aim in workload.aims} <= {"torch", "torch_loop", "jax"}
    modules = {name for name, workload in DEVICES["gpu"].items() if "torch" in workload.contenders}
    assert modules == {"rnn", "lstm_small", "lstm_large", "lstm_long", "gru", "tiny"}
    assert not {name for name in DEVICES["gpu"] if name.endswith("_by_hand")}


@pytest.mark.skipif(find_missing() is None, reason="there is a GPU")
@pytest.mark.parametrize(
    "main", [lambda: command.main(["--device", "gpu"]), lambda: gpu.main(["--out", "x"])]
)
def test_without_a_gpu_both_commands_say_what_is_missing(
    main: Callable[[], int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    assert f"no GPU can be used here: {find_missing()}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_parts_run_one_after_the_other_until_their_time_is_up(tmp_path: Path) -> None:
    parts = {
        "fails": (("-c", "print('said'); raise SystemExit(3)"), 30.0),
        "stays": (("-c", "import time; print('begun', flush=True); time.sleep(60)"), 2.0),
        "ends": (("-c", "print('last')"), 30.0),
    }
    assert gpu.run_parts(parts, tmp_path) == 3
    said = {name: (tmp_path / f"{name}.txt").read_text() for name in parts}
    assert said["fails"] == "said\n"
    assert said["ends"] == "last\n"
    assert said["stays"].endswith("stopped: 2 s after the start of all\n")


def test_work_on_a_gpu_is_timed_by_events() -> None:
    now = 0.0

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            self.at = now

        def synchronize(self) -> None:
            waited.append(self.at)

        def elapsed_time(self, end: Event) -> float:
            return 1e3 * (end.at - self.at)

    waited: list[float] = []
    torch = SimpleNamespace(cuda=SimpleNamespace(Event=Event, synchronize=lambda: waited.append(-1.0)))
    clock = EventClock(torch)

    def call() -> float:
        nonlocal now
        now += 0.25
        return 0.0

    assert _time_calls(call, clock, 2.0) == 0.25  # type: ignore[arg-type]
    # One call wakes, one tells that eight of them fit.
    assert now == 2.5
    assert waited == [-1.0, 0.5, -1.0, 2.5]


def test_all_but_pytorch_wait_for_their_work() -> None:
    assert isinstance(find_clock("jax", "gpu"), HostClock)
    assert isinstance(find_clock("cupy", "gpu"), HostClock)
    assert isinstance(find_clock("torch_loop", "cpu"), HostClock)


def test_the_loop_over_few_weights_multiplies_by_a_matrix_with_zeros() -> None:
    """On a GPU peers run the sparse workload so."""
    pytest.importorskip("torch")
    workload = DEVICES["gpu"]["sparse"]
    sizes = {"inputs": 3, "hidden": 8, "batch": 2, "steps": 5, "entries": 20}
    workload = workload.__class__("sparse", workload.network, workload.sizes.__class__(**sizes), ())
    problem = draw_problem(workload, "float64")
    made, expected = (
        find_contender(name, workload)(workload.network, problem, False)
        for name in ("torch_loop", "reference")
    )
    assert float(made()) == pytest.approx(float(expected()), rel=1e-10)
    for name, gradient in expected.gradients.items():
        np.testing.assert_allclose(made.gradients[name], gradient, rtol=1e-9, atol=1e-12)
