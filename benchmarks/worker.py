"""The process of one contender: makes it ready, checks it and times it, as it is told line by line.

    python -m benchmarks.worker WORKLOAD CONTENDER DEVICE PROBLEM RESULT

Each line on the standard input is a number of seconds; the answer is a line of JSON with the seconds of one call, or
of the calls that fit into so many seconds, the mean of them. The first answer, which comes unasked, says how long it
took to make the contender ready and to call it once, and the last, after the end of the input, how much memory was
needed. What the contender computed is written to RESULT.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.clocks import Clock, find_clock
from benchmarks.memory import measure_peak
from benchmarks.problem import Problem
from benchmarks.registry import DEVICES, Contender, Workload, find_contender

__all__ = ["main"]

CHECKED_STEPS = 3
"""The single steps after which outputs are compared: the first reads no state."""


def main() -> None:
    name, contender_name, device, problem_path, result = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to the standard error
    workload = DEVICES[device][name]
    problem = Problem.load(Path(problem_path), workload.sizes)
    make = find_contender(contender_name, workload, device)  # imports what it needs, before the clock starts
    started = time.perf_counter()
    contender = make(workload.network, problem, workload.network.noise)
    float(contender())
    ready = time.perf_counter() - started
    quiet = contender
    if workload.network.noise:
        quiet = make(workload.network, problem, False)
        float(quiet())
    _check(quiet, workload, Path(result))
    _answer(answers, {"compile_s": ready})
    gc.disable()
    clock, calls = find_clock(contender_name, device), getattr(contender, "calls_per_batch", 1.0)
    for line in sys.stdin:
        _answer(answers, {"seconds": calls * _time_calls(contender, clock, float(line))})
    _answer(answers, {"peak_mb": measure_peak() / 2**20})


def _check(contender: Contender, workload: Workload, path: Path) -> None:
    """Write loss and gradients of the call that was made, or the outputs a few steps later."""
    loss = 0.0
    if workload.timed == "step":
        for _ in range(CHECKED_STEPS - 1):
            loss = float(contender())
    else:
        loss = float(contender())
    named: dict[str, Any] = {f"of {name}": array for name, array in contender.gradients.items()}
    np.savez(path, loss=loss, **named)


def _time_calls(contender: Contender, clock: Clock, seconds: float) -> float:
    """The mean time of as many calls as fit, after one that wakes threads and caches and one that tells how many do."""
    contender()
    clock.start()
    contender()
    once = clock.stop()
    calls = int(seconds / once)
    if calls <= 1:
        return once
    clock.start()
    for _ in range(calls):
        contender()
    return clock.stop() / calls


def _answer(stream: IO[str], answer: dict[str, float]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
