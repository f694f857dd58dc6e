"""The process of a contender, as the one that times it sees it; `benchmarks.worker` is what runs in it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.registry import ALONE, Workload

__all__ = ["ABSENT", "Process", "explain_end"]

CACHES = ("CUPY_CACHE_DIR", "GRAPHBPTT_CACHE", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")

ON_DEVICE: dict[str, dict[str, str]] = {
    "cpu": {},
    "gpu": {"NVIDIA_TF32_OVERRIDE": "0", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
}
"""On a GPU all keep to true single precision in NVIDIA's libraries, and none takes most of the memory in advance."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

ANSWERING = 120.0
"""The seconds that a contender may take for a round, and to end."""

ABSENT = "No module named "

RAISED = 1
"""The exit status of Python after an exception."""


class Process:
    """A contender's process, ready and stopped; `patience` is how many seconds it may take to get ready.

    Whatever is asked of it raises RuntimeError if it has ended or is not ready in time, which says why; all that it
    said itself goes to the standard error, unless it is that a library is not there.
    """

    def __init__(
        self, workload: Workload, contender: str, problem: Path, result: Path, *, device: str, patience: float
    ) -> None:
        self.result = result
        command = [sys.executable, "-m", "benchmarks.worker"]
        command += [workload.name, contender, device, str(problem), str(result)]
        self.errors = result.with_suffix(".txt")
        # Empty, so that the time to compile is the same in every run.
        caches = {name: str(result.with_suffix("") / name) for name in CACHES}
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={
                    **os.environ,
                    **caches,
                    **ON_DEVICE[device],
                    **(ONE_THREAD if contender in ALONE else {}),
                },
            )
        self.compile_s = self._read(patience)["compile_s"]
        self.process.send_signal(signal.SIGSTOP)

    def ask(self, seconds: float) -> float:
        """The seconds of one call, the mean of those that fit into `seconds`."""
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGCONT)
        with contextlib.suppress(BrokenPipeError):  # it has ended: there is no answer to read either
            os.write(self.process.stdin.fileno(), f"{seconds}\n".encode())
        answer = self._read(ANSWERING)["seconds"]
        self.process.send_signal(signal.SIGSTOP)
        return answer

    def close(self) -> float:
        """Let it end; the megabytes it needed."""
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        peak = self._read(ANSWERING)["peak_mb"]
        self.process.wait()
        return peak

    def kill(self) -> None:
        with self.process:  # which closes its pipes
            self.process.kill()

    def _read(self, patience: float) -> dict[str, float]:
        """The next answer."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], patience)
        if not ready:
            self.kill()
            raise RuntimeError(f"not ready after {patience:g} s")
        line = self.process.stdout.readline()
        if not line:
            with self.process:
                self.process.wait()
            said = self.errors.read_text()
            reason = explain_end(self.process.returncode, said)
            if not reason.startswith(ABSENT):
                print(f"{self.errors.stem}:\n{said}", file=sys.stderr, flush=True)
            raise RuntimeError(reason)
        answer: dict[str, float] = json.loads(line)
        return answer


def explain_end(status: int, errors: str) -> str:
    """Why a process ended before it was told to: its exception, or else its status and what it said last."""
    last = next(reversed(errors.strip().splitlines()), "")
    said = last.partition(": ")[2] or last
    if status == RAISED and said:
        return said
    ended = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"{ended}: {said}" if said else ended
