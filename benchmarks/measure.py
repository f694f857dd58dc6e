"""Pairwise timing: every contender in a process of its own, in interleaved rounds, after all agree.

The processes are stopped while others are timed: threads of linear algebra libraries spin for a while after a call is
done, and would take a core from whoever comes next.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.problem import Array
from benchmarks.process import Process
from benchmarks.registry import Workload, draw_problem

__all__ = ["SLOW", "SLOW_ROUNDS", "Manner", "Measurement", "Timing", "measure_workload"]

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
SAMPLE_SECONDS = 0.02
"""Calls are repeated within a sample until it lasts this long, so that the clock and the waking cost nothing."""
SLOW, SLOW_ROUNDS = 20, 3
"""Who takes so many times as long as the fastest is not timed again after so many rounds."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How to measure: in which precision, for at least so many rounds and seconds, on which device, and how many
    seconds a contender may take to get ready.

    On a GPU all get ready at once: most of it is the host's work, which has more cores there than contenders.
    """

    dtype: str = "float32"
    rounds: int = 20
    seconds: float = 10.0
    device: str = "cpu"
    patience: float = 120.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds per call of one contender, one number per round; those until the first call was done; megabytes."""

    seconds: tuple[float, ...]
    compile_s: float
    peak_mb: float

    @property
    def minimum(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Measurement:
    """The contenders of one workload that ran, and why others did not; `difference` is the largest relative one
    between those that ran, norm-wise per array."""

    workload: Workload
    dtype: str
    timings: Mapping[str, Timing]
    absent: Mapping[str, str]
    difference: float


def measure_workload(workload: Workload, contenders: tuple[str, ...], manner: Manner) -> Measurement:
    """Start the contenders, let them agree, and time them.

    Raises
    ------
    ValueError
        Two contenders differ by more than rounding explains; names them and the array.
    """
    problem = draw_problem(workload, manner.dtype)
    with TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        path = Path(folder, "problem.npz")
        problem.save(path)

        def start(name: str) -> Process | str:
            try:
                process = Process(
                    workload,
                    name,
                    path,
                    Path(folder, f"{name}.npz"),
                    device=manner.device,
                    patience=manner.patience,
                )
            except RuntimeError as error:
                return str(error)
            running.callback(process.kill)
            return process

        with ThreadPoolExecutor(1 if manner.device == "cpu" else max(1, len(contenders))) as starting:
            started = dict(zip(contenders, starting.map(start, contenders), strict=True))
        absent = {name: reason for name, reason in started.items() if isinstance(reason, str)}
        processes = {name: process for name, process in started.items() if isinstance(process, Process)}
        results = {name: process.result for name, process in processes.items() if name != "floor"}
        difference = _compare(workload, results, manner.dtype)
        asks = {name: partial(process.ask, SAMPLE_SECONDS) for name, process in processes.items()}
        samples, lost = _take_turns(asks, manner.seconds, manner.rounds)
        timings: dict[str, Timing] = {}
        for name in [name for name in processes if name not in lost]:
            try:
                peak_mb = processes[name].close()
                timings[name] = Timing(tuple(samples[name]), processes[name].compile_s, peak_mb)
            except RuntimeError as error:
                lost[name] = str(error)
    return Measurement(workload, manner.dtype, timings, absent | lost, difference)


def _take_turns(
    asks: Mapping[str, Callable[[], float]], seconds: float, rounds: int
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """What each has answered, in rounds that each begin with the next one; and why some were lost on the way."""
    samples: dict[str, list[float]] = {name: [] for name in asks}
    lost: dict[str, str] = {}
    names = list(asks)
    end = time.perf_counter() + seconds
    done = 0
    while names and (done < rounds or time.perf_counter() < end):
        for name in names:
            try:
                samples[name].append(asks[name]())
            except RuntimeError as error:
                lost[name] = str(error)
        names = [name for name in (*names[1:], *names[:1]) if name not in lost]
        done += 1
        if done == SLOW_ROUNDS:
            fastest = min((min(samples[name]) for name in names if name != "floor"), default=0.0)
            names = [name for name in names if min(samples[name]) <= SLOW * fastest or name == "floor"]
    return samples, lost


def _compare(workload: Workload, results: Mapping[str, Path], dtype: str) -> float:
    """The largest relative difference from the first contender."""
    read = {name: _read_result(workload, path) for name, path in results.items()}
    if not read:
        return 0.0
    (reference, expected), *others = read.items()
    worst = 0.0
    for name, arrays in others:
        for array, value in arrays.items():
            norm = float(np.linalg.norm(expected[array]))
            error = float(np.linalg.norm(value - expected[array])) / (norm or 1.0)
            if not error <= TOLERANCE[dtype]:
                raise ValueError(
                    f"{workload.name}: {name} and {reference} differ in {array} by {error:.1e} of its norm"
                )
            worst = max(worst, error)
    return worst


def _read_result(workload: Workload, path: Path) -> dict[str, Array]:
    """The loss and the gradients as peers keep them, zero where the network has no parameter."""
    with np.load(path, allow_pickle=False) as archive:
        named: dict[str, Any] = {
            name.removeprefix("of "): archive[name] for name in archive.files if name.startswith("of ")
        }
        loss = archive["loss"]
    if workload.timed == "step":
        return named
    gradients = {name: np.zeros_like(array) for name, array in named.items()}
    groups = workload.network.split(named, workload.sizes)
    for group, view in workload.network.split(gradients, workload.sizes).items():
        view[...] = groups[group]
    return {"the loss": loss, **gradients}
