"""The benchmarks of a GPU, as far as they can be tried without one."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
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


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """There is a GPU, nothing runs, and what is installed beside CuPy is this."""
    names = {"pytest", "hypothesis", "xdist", "torch", "jax"}
    monkeypatch.setattr(gpu, "find_missing", lambda: None)
    monkeypatch.setattr(gpu, "list_backends", lambda: {"cupy": None})
    monkeypatch.setattr(gpu, "find_spec", lambda name: True if name in names else None)
    monkeypatch.setattr(gpu, "run_all", lambda folder, end: 0)
    return names


def test_what_the_tests_need_is_asked_for_before_anything_starts(
    installed: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installed.difference_update({"pytest", "hypothesis", "jax"})
    with pytest.raises(SystemExit) as ended:
        gpu.main(["--out", str(tmp_path / "results")])
    assert ended.value.code == 2
    said = 'the tests need pytest and hypothesis, which are not installed; pip install ".[test,peers]"'
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_without_peers_it_says_so_and_goes_on(
    installed: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu.main(["--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
    installed.remove("jax")
    assert gpu.main(["--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == 'no jax to be timed beside; pip install ".[peers]"\n'


@pytest.mark.parametrize(
    ("text", "seconds", "code", "said"),
    [
        ("print('said'); raise SystemExit(3)", 30.0, 3, "said\n"),
        ("import os; print(os.environ['CUPY_DUMP_CUDA_SOURCE_ON_ERROR'])", 30.0, 0, "1\n"),
    ],
)
def test_what_a_part_says_is_kept(text: str, seconds: float, code: int, said: str, tmp_path: Path) -> None:
    path = tmp_path / "part.txt"
    assert gpu.run_part([sys.executable, "-c", text], path, seconds) == code
    assert path.read_text() == said


STAYING = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
os.kill(child.pid, signal.SIGSTOP)
print(child.pid, flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("so far")
"""


def test_a_part_whose_time_is_up_says_how_far_it_was_and_leaves_nothing(tmp_path: Path) -> None:
    """Contenders are processes of processes, and stopped."""
    path = tmp_path / "part.txt"
    assert gpu.run_part([sys.executable, "-c", STAYING], path, 2.0) == gpu.STOPPED
    child, *lines = path.read_text().splitlines()
    assert lines == ["so far", "", "stopped after 2 s"]
    for _ in range(100):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("its child is still there")


@pytest.mark.parametrize("tested", [0, 1])
def test_no_part_stops_those_behind_it(tested: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the sanitizer says is wanted where something failed, and the benchmarks are so in any case."""
    parts: dict[str, float] = {}

    def run_part(command: Sequence[str], path: Path, seconds: float) -> int:
        assert command[0] in (sys.executable, "/bin/compute-sanitizer")
        parts[path.name] = seconds
        return tested if path.stem == "tests" else 0

    monkeypatch.setattr(gpu, "run_part", run_part)
    monkeypatch.setattr(gpu, "describe_machine", lambda device: {device: "NVIDIA H200"})
    monkeypatch.setattr(gpu.shutil, "which", lambda name, path: f"/bin/{name}")
    assert gpu.run_all(tmp_path, time.monotonic() + 100) == tested
    asked = ["lockstep.txt", "sanitizer.txt"] if tested else []
    wanted = ["probe.txt", "tests.txt", *asked, "benchmarks.txt"]
    assert list(parts) == wanted
    assert all(seconds <= 100 for seconds in parts.values())


def test_of_what_is_too_long_the_middle_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "part.txt"
    path.write_text("first" + 90 * "." + "last")
    gpu.shorten(path, 200)
    assert path.read_text() == "first" + 90 * "." + "last"
    gpu.shorten(path, 10)
    assert path.read_text() == "first\n... 89 bytes ...\n.last"


def test_backends_have_to_be_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A checkout alone has none."""
    monkeypatch.setattr(gpu, "find_missing", lambda: None)
    monkeypatch.setattr(gpu, "list_backends", lambda: ["numpy"])
    with pytest.raises(SystemExit):
        gpu.main(["--out", str(tmp_path)])
    assert "graphbptt is not installed, so that" in capsys.readouterr().err


FAILING = """
import os

def test_first(): assert 1 + 1 == 3
def test_second(): assert 1 + 1 == 4
def test_last(): os.kill(os.getpid(), 9)
"""


def test_what_fails_is_said_whole_before_the_end(tmp_path: Path) -> None:
    """A run that is stopped never comes to what pytest says at its end."""
    (tmp_path / "test_failing.py").write_text(FAILING)
    options = ["-p", "benchmarks.failures", "-p", "no:cacheprovider", "-v", str(tmp_path)]
    path = tmp_path / "said.txt"
    assert gpu.run_part([sys.executable, "-m", "pytest", *options], path, 60.0) == -9
    said = path.read_text()
    assert said.index("== 3\n") < said.index("test_second") < said.rindex("== 4\n")


def test_a_process_whose_gpu_has_stopped_is_replaced(tmp_path: Path) -> None:
    """All tests behind it are run by another."""
    pytest.importorskip("xdist")
    (tmp_path / "cupy.py").write_text(STOPPED_CUPY)
    (tmp_path / "test_failing.py").write_text(STOPPING)
    options = [
        "-p",
        "benchmarks.failures",
        "-p",
        "no:cacheprovider",
        "-v",
        "-p",
        "xdist.plugin",
        "-n1",
        str(tmp_path),
    ]
    environment = {**gpu.ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    path = tmp_path / "said.txt"
    assert gpu.run_part([sys.executable, "-m", "pytest", *options], path, 60.0, environment) == 1
    said = path.read_text()
    assert "RuntimeError: the GPU stopped" in said
    assert re.search(r"PASSED .*test_last", said)


STOPPED_CUPY = """
class Runtime:
    CUDARuntimeError = RuntimeError
    stopped = False
    def deviceSynchronize(self):
        if self.stopped: raise RuntimeError("the GPU stopped")

class cuda:
    runtime = Runtime()
"""
STOPPING = """
import cupy

def test_first(): cupy.cuda.runtime.stopped = True; cupy.cuda.runtime.deviceSynchronize()
def test_last(): cupy.cuda.runtime.deviceSynchronize()
"""


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


def test_jax_on_the_host_is_no_peer_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The jax of the extra has no GPU, and computes without one."""
    pytest.importorskip("jax")
    for backend in ("cpu", "gpu"):
        monkeypatch.setattr("jax.default_backend", lambda backend=backend: backend)
        assert find_contender("jax", DEVICES["cpu"]["tiny"])
        if backend == "gpu":
            assert find_contender("jax", DEVICES["gpu"]["tiny"], "gpu")
        else:
            with pytest.raises(ImportError, match=r'^JAX finds no GPU; pip install "jax\[cuda13\]"'):
                find_contender("jax", DEVICES["gpu"]["tiny"], "gpu")


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
