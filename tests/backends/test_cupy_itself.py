"""The tests of a GPU by CuPy itself, where it is installed, on a CUDA that is the host's memory."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from graphbptt_cupy.presence import find_libraries

TESTS = Path(__file__).parents[1]
CHOSEN = "elman or lstm or update or training or device"


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_cupy_takes_what_it_is_given(tmp_path: Path) -> None:
    """In a process of its own, which imports CuPy anew."""
    cupy = pytest.importorskip("cupy")
    missing = find_libraries(cupy, cupy.cuda.runtime.runtimeGetVersion() // 1000)
    if missing is not None:
        pytest.skip(missing)
    environment = {**os.environ, "CUPY_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    options = ["-p", "host_plugin", "-m", "gpu", "-k", CHOSEN, "-p", "no:cacheprovider", "-q"]
    outcome = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(TESTS / "gpu" / "test_cupy.py")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=TESTS.parent, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stdout
    assert " skipped" not in outcome.stdout
