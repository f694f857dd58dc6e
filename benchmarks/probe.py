"""``python -m benchmarks.probe``: whether a GPU does what the cupy backend asks of it, one thing after the other.

Small networks are run in four ways: every kernel and product waited for, so that one that fails is named; call by
call; as graphs, with scans step by step; and as the backend does it. Each way has to agree with NumPy in loss and
gradients, three times, since the first call records nothing and the second one does. What fails is printed whole, and
the others are still tried. The exit code is 1 if any failed.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np

from benchmarks.contenders.compiled import Compiled
from benchmarks.contenders.cupy_ways import CupyWay
from benchmarks.problem import Problem, Sizes
from benchmarks.registry import DEVICES, draw_problem
from graphbptt.codegen.launches.commands import Launch, Multiply
from graphbptt.errors import DeviceError
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.device import Call, Memory
from graphbptt_cupy.gpu import GpuDevice
from graphbptt_cupy.presence import describe_gpu

__all__ = ["WaitingDevice", "main"]

NETWORKS = ("tiny", "lstm_small", "gru", "custom", "clockwork", "leaky", "sparse", "units")
SIZES = {
    "clockwork": Sizes(5, 64, 3, 20),
    "custom": Sizes(5, 3 * 24, 3, 20),
    "sparse": Sizes(5, 80, 3, 20, 900),
}
USUAL, UNITS = Sizes(5, 48, 3, 20), Sizes(4, 64, 3, 20, 512)
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
PACKAGES = (
    "cupy",
    "cuda-toolkit",
    "nvidia",
    "cuda-",
    "numpy",
    "scipy",
    "torch",
    "jax",
    "triton",
    "graphbptt",
)
VARIABLES = ("CUDA", "CUPY", "NVIDIA", "CUBLAS", "LD_LIBRARY_PATH", "XLA", "HOME")
TIMES = 3


class WaitingDevice(GpuDevice):
    """Waits behind each command, and says which one it is that fails."""

    def bind_launch(self, module: Callable[[str], Any], command: Launch, memory: Memory) -> Call:
        said = f"kernel {command.kernel}, {command.grid} blocks of {command.block}, {command.shared} bytes shared"
        return self._wait_for(
            f"{said}, arguments {command.arguments}", super().bind_launch(module, command, memory)
        )

    def bind_multiply(self, command: Multiply, memory: Memory) -> Call:
        return self._wait_for(str(command), super().bind_multiply(command, memory))

    def _wait_for(self, what: str, call: Call) -> Call:
        def make() -> None:
            try:
                call()
                for stream in (self._copying, self._stream):
                    stream.synchronize()
            except Exception as error:
                raise DeviceError(f"{what}: {error}") from error

        return make


def open_waiting(numbers: Numbers, captured: bool) -> GpuDevice:
    return WaitingDevice(importlib.import_module("cupy"), numbers, captured)


WAYS: dict[str, Callable[..., Compiled]] = {
    "waited for, step by step": partial(CupyWay, captured=False, persistent=False, opening=open_waiting),
    "waited for": partial(CupyWay, captured=False, opening=open_waiting),
    "call by call": partial(CupyWay, captured=False),
    "as graphs, step by step": partial(CupyWay, persistent=False),
    "as it is": partial(Compiled, backend="cupy"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all, or of all ways the first with ``--first``; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    ways = dict(list(WAYS.items())[:1]) if "--first" in arguments else WAYS
    for line in _describe():
        print(line, flush=True)
    failures = 0
    for dtype in TOLERANCE:
        for name in NETWORKS:
            problem, expected = None, None
            for way, make in ways.items():
                started = time.perf_counter()
                try:
                    if problem is None or expected is None:
                        problem, expected = _expect(name, dtype)
                    said = _compare(make(DEVICES["gpu"][name].network, problem, False), expected, dtype)
                except Exception:  # whatever it is, the others are worth trying
                    failures += 1
                    said = f"FAILED\n{traceback.format_exc()}"
                print(f"{name}, {dtype}, {way}: {time.perf_counter() - started:.1f} s, {said}", flush=True)
    print(f"{failures} failed", flush=True)
    return 1 if failures else 0


def _expect(name: str, dtype: str) -> tuple[Problem, Compiled]:
    """A small problem, and what NumPy makes of it."""
    workload = DEVICES["gpu"][name]
    sizes = UNITS if name == "units" else SIZES.get(name, USUAL)
    small = workload.__class__(name, workload.network, sizes, ())
    problem = draw_problem(small, dtype)
    expected = Compiled(workload.network, problem, False, "numpy")
    expected()
    return problem, expected


def _compare(made: Compiled, expected: Compiled, dtype: str) -> str:
    """How far loss and gradient are from what they should be, in the worst of a few calls."""
    worst = 0.0
    for call in range(1, TIMES + 1):
        difference = abs(made() - expected.model.loss_and_gradient(expected.batch, expected.gradient))
        norm = float(np.linalg.norm(expected.gradient))
        worst = max(worst, difference, float(np.linalg.norm(made.gradient - expected.gradient)) / norm)
        if not worst <= TOLERANCE[dtype]:
            raise AssertionError(
                f"call {call} differs by {worst:.1e}; " + "; ".join(_name_worst(made, expected))
            )
    return f"differs by {worst:.1e}"


def _name_worst(made: Compiled, expected: Compiled) -> Iterator[str]:
    """By parameter, what differs."""
    for (name, one), (_, other) in zip(made.gradients.items(), expected.gradients.items(), strict=True):
        difference, norm = float(np.linalg.norm(one - other)), float(np.linalg.norm(other))
        yield f"{name} by {difference:.1e} of {norm:.1e}"


def _describe() -> Iterator[str]:
    """The machine, the driver, and the versions of all that has a part in it."""
    yield f"python: {sys.version} on {platform.platform()}, {os.cpu_count()} cores"
    for item in sorted(metadata.distributions(), key=lambda item: str(item.metadata["Name"]).lower()):
        name = str(item.metadata["Name"]).lower()
        if name.startswith(PACKAGES):
            yield f"{name}: {item.version}"
    for variable in sorted(os.environ):
        if variable.startswith(VARIABLES):
            yield f"${variable}: {os.environ[variable]}"
    yield from describe_gpu(importlib.import_module("cupy"))
    for command in ("nvidia-smi", "nvcc", "compute-sanitizer"):
        yield f"{command}: {shutil.which(command)}"
    if shutil.which("nvidia-smi"):
        said = subprocess.run(
            ["nvidia-smi"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        yield said.stdout


if __name__ == "__main__":
    sys.exit(main())
