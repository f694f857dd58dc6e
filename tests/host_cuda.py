"""The CUDA text of kernels on a machine without a GPU: compiled as C++, with blocks, barriers and shuffles of threads.

`host_cuda.h` says what CUDA's words mean to a compiler of the host, and `host_cuda.cpp` runs the threads of a block, as
fibers that stop where they meet. Threads between barriers, and blocks, come in any order that is asked for; what
depends on it is a mistake. So are threads of one block that wait at different places, lanes that are missing from a
shuffle, a block that is larger than its launch bound, and writes behind the shared memory that a launch asks for.
Shared memory holds nothing but what is not a number until it is written.

What only a GPU has is not seen: writes of one block that another one sees late, lanes that go on without each other in
a warp, and how long anything takes.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from loopback import HostDevice, VerifiedExecutable, spell_arguments

from graphbptt.codegen.dialect import CUDA
from graphbptt.codegen.launches.commands import Launch
from graphbptt.codegen.persistent.device_limits import KIB, DeviceLimits
from graphbptt.ir.plan import Plan
from graphbptt_cupy.device import Call, Memory

__all__ = ["FIRST_TO_LAST", "LAST_TO_FIRST", "ORDERS", "HostCudaDevice", "build_cuda", "load_cuda", "start"]

FIRST_TO_LAST, LAST_TO_FIRST = 0, -1
ORDERS = (FIRST_TO_LAST, LAST_TO_FIRST, 1)
"""Of threads between barriers, and of blocks; above 0 they are seeds of orders that are drawn anew for each."""

HERE = Path(__file__).parent
FLAGS = (
    "-std=c++17", "-w", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off",
    "-U_FORTIFY_SOURCE",
)  # fmt: skip
"""Fortified jumps go down a stack and nowhere else."""

MOST_SHARED = 227 * KIB
"""Bytes of shared memory that no block has more of."""

KERNEL = re.compile(r"__global__ void __launch_bounds__\((\d+)(?:, 1)?\) (\w+)\(")


class HostCudaDevice(HostDevice):
    """Runs kernels as CUDA, by grid and block; `order` may be changed from one launch to the next."""

    dialect = CUDA

    def __init__(self, order: int = FIRST_TO_LAST, limits: DeviceLimits | None = None) -> None:
        self.order, self.limits = order, limits

    def load(self, text: str) -> ctypes.CDLL:
        return load_cuda(text)

    def bind_launch(self, module: ctypes.CDLL, command: Launch, memory: Memory) -> Call:
        words = spell_arguments(command, memory)

        def run() -> None:
            start(module, command.kernel, command.grid, command.block, words, command.shared, self.order)

        return run


def build_cuda(
    plan: Plan, dtype: object, order: int = FIRST_TO_LAST, limits: DeviceLimits | None = None
) -> VerifiedExecutable:
    """A plan on a device that runs its CUDA text in this machine's memory; with limits, of a GPU that is not there,
    scans are persistent kernels where it would have them."""
    return VerifiedExecutable(plan, np.dtype(dtype), HostCudaDevice(order, limits))


def start(
    module: ctypes.CDLL,
    kernel: str,
    grid: int,
    block: int,
    words: list[int],
    shared: int = 0,
    order: int = FIRST_TO_LAST,
) -> None:
    """Run all threads of a kernel; what they do wrong is an `AssertionError`."""
    function = getattr(module, f"start_{kernel}")
    function.restype = ctypes.c_char_p
    given = (ctypes.c_uint64 * len(words))(*words)
    sizes = ctypes.c_uint(grid), ctypes.c_uint(block), ctypes.c_size_t(shared), ctypes.c_int64(order)
    mistake = function(*sizes, given, ctypes.c_size_t(len(words)))
    assert mistake is None, f"{kernel}: {mistake.decode()}"


@functools.cache
def load_cuda(text: str) -> ctypes.CDLL:
    """Compile the text of kernels, as it stands, with what starts them behind it."""
    _load_threads()
    asked, size, lines = "nullptr", 0, []
    if "extern __shared__" in text:
        asked, size = "shared", MOST_SHARED
        lines.append(f"ASKED(real, {size})")
    lines += (f"KERNEL({name}, {most}, {asked}, {size})" for most, name in KERNEL.findall(text))
    with TemporaryDirectory() as folder:
        source = Path(folder, "kernels.cpp")
        source.write_text("\n".join([text, *lines, ""]), encoding="utf-8")
        return ctypes.CDLL(_compile(source, "-O1", "-include", str(HERE / "host_cuda.h")))


@functools.cache
def _load_threads() -> ctypes.CDLL:
    """What runs the threads of all texts, which find it by its names."""
    with TemporaryDirectory() as folder:
        source = Path(folder, "host_cuda.cpp")
        source.write_bytes((HERE / "host_cuda.cpp").read_bytes())
        return ctypes.CDLL(_compile(source, "-O2", "-I", str(HERE)), ctypes.RTLD_GLOBAL)


def _compile(source: Path, *flags: str) -> str:
    target = source.with_suffix(".so")
    command = [*_find_compiler(), *FLAGS, *flags, "-o", str(target), str(source)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    return str(target)


@functools.cache
def _find_compiler() -> tuple[str, ...]:
    """The C++ compiler of this machine; the test is skipped where there is none."""
    if not sys.platform.startswith("linux") or sys.maxsize < 2**63 - 1:
        pytest.skip("CUDA text is run on 64-bit Linux only")
    for command in (shlex.split(os.environ.get("CXX", "")), ["g++"], ["clang++"], ["c++"]):
        if command and shutil.which(command[0]):
            return tuple(command)
    pytest.skip("there is no C++ compiler to run CUDA text")
