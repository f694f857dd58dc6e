"""What compilers for GPUs make of CUDA text; no GPU is needed.

The run-time compiler where CuPy is installed, which takes a tenth of a second for a network; else ``nvcc``.
"""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from graphbptt_cupy.gpu import OPTIONS

__all__ = ["ARCHITECTURES", "AROUND_CALLS", "Usage", "measure_usage"]

ARCHITECTURES = ("80", "90")

WARNINGS = ("--Werror", "all-warnings", "-Xptxas", "--warning-as-error")

AS_CUPY_DOES = (*OPTIONS, "-ftz=true")

AROUND_CALLS = {"float32": 0, "float64": 32}
"""Bytes kept aside around calls: the quotient of two doubles is one, where a number is out of the common range."""

ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
SPILLS = re.compile(
    r"Function properties for (\w+)\s+(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
)
REGISTERS = re.compile(r"Used (\d+) registers")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one kernel takes on one architecture."""

    kernel: str
    architecture: str
    registers: int
    stack: int
    spilled: int


def measure_usage(text: str) -> list[Usage]:
    """Compile a text for every architecture; the test is skipped where nothing compiles CUDA."""
    nvrtc = _find_nvrtc()
    if nvrtc is not None:
        return [usage for number in ARCHITECTURES for usage in _read_usage(_run_nvrtc(nvrtc, text, number))]
    if shutil.which("nvcc"):
        return _read_usage(_run_nvcc(text))
    pytest.skip("there is neither CuPy with NVRTC nor nvcc to compile CUDA")


def _find_nvrtc() -> Any:
    """CuPy's binding, if there is a library to be bound."""
    try:
        nvrtc = importlib.import_module("cupy.cuda.nvrtc")
        nvrtc.getVersion()
    except Exception:  # CuPy loads the library when it is first asked for
        return None
    return nvrtc


def _run_nvcc(text: str) -> str:
    with TemporaryDirectory() as folder:
        source = Path(folder, "kernels.cu")
        source.write_text(text)
        targets = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in ARCHITECTURES]
        command = [
            "nvcc",
            "-fatbin",
            "-Xptxas",
            "-v",
            *WARNINGS,
            *AS_CUPY_DOES,
            *targets,
            "-o",
            "kernels.fatbin",
            source.name,
        ]
        outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stderr


def _run_nvrtc(nvrtc: Any, text: str, architecture: str) -> str:
    program = nvrtc.createProgram(text, "kernels.cu", [], [])
    try:
        nvrtc.compileProgram(
            program, [*AS_CUPY_DOES, f"--gpu-architecture=sm_{architecture}", "--ptxas-options=-v"]
        )
    except nvrtc.NVRTCError as error:
        raise AssertionError(nvrtc.getProgramLog(program)) from error
    return nvrtc.getProgramLog(program)


def _read_usage(report: str) -> list[Usage]:
    """One record for each kernel: its name, then what it spills, then its registers; functions that it calls have
    records of what they spill, too."""
    entries, functions, registers = (pattern.findall(report) for pattern in (ENTRY, SPILLS, REGISTERS))
    kernels = {kernel for kernel, _ in entries}
    spills = [found for name, *found in functions if name in kernels]
    assert len(entries) == len(spills) == len(registers), report
    return [
        Usage(kernel, architecture, int(used), int(stack), int(stores) + int(loads))
        for (kernel, architecture), (stack, stores, loads), used in zip(
            entries, spills, registers, strict=True
        )
    ]
