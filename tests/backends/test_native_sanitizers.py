"""The sanitizers see what goes wrong in generated C: each planted fault is reported and ends the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sanitize import Sanitizer, list_sanitizers

SANITIZERS = {sanitizer.checks: sanitizer for sanitizer in list_sanitizers() if sanitizer.compiler == "gcc"}

RUN = """\
import sys
from dataclasses import replace

import numpy as np
import watched
from named_networks import elman, draw_fields

from graphbptt.compiler import compile_network
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_native import NativeExecutable, backend, program, threads

watched.watch()
write = program.write_source

def plant(plan, precision, vectors, check):
    written = write(plan, precision, vectors, check)
    right, wrong = sys.argv[1:]
    assert right in written.text
    return replace(written, text=written.text.replace(right, wrong))

threads.FLOPS_WORTH_A_THREAD = 1.0
program.write_source = plant
plan = compile_network(elman())
executable = NativeExecutable(plan, np.dtype(np.float64), backend.toolchain, backend.cache, 2)
fields = {name: field for name, field in draw_fields(12, 9, False).items() if name in ("x", "y")}
vector = np.zeros(plan.layout.size)
batch = bind_batch(plan.network, fields, 9, np.float64)
for _ in range(100):  # on a busy machine one thread is often through before the other begins
    executable.loss_and_gradient(vector, batch, vector.copy())
print("no report")
"""

ROWS = "for (ptrdiff_t b = begin; b < end; b++)"
"""The element-wise work of a step, example by example."""
ROW = "const ptrdiff_t row = t * size + b;"

PLANTED = {
    "nothing": ("address,undefined", ROWS, ROWS, "no report"),
    "one example too many": (
        "address,undefined",
        ROWS,
        ROWS.replace("< end", "<= end"),
        "heap-buffer-overflow",
    ),
    "lost bits": ("address,undefined", ROW, f"{ROW[:-1]} + 0 * (size << 62);", "runtime error: left shift"),
    "nothing between threads": ("thread", ROWS, ROWS, "no report"),
    "each thread does all": ("thread", ROWS, "for (ptrdiff_t b = 0; b < size; b++)", "data race"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_fault_is_reported(fault: str, tmp_path: Path) -> None:
    checks, right, wrong, said = PLANTED[fault]
    if checks not in SANITIZERS:
        pytest.skip(f"gcc has no library for -fsanitize={checks}")
    outcome = run(SANITIZERS[checks], right, wrong, tmp_path)
    assert said in outcome.stdout + outcome.stderr
    assert (outcome.returncode == 0) == (said == "no report")


def run(sanitizer: Sanitizer, right: str, wrong: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, right, wrong]
    environment = os.environ | sanitizer.environment(folder)
    return subprocess.run(command, env=environment, capture_output=True, text=True)
