"""CuPy takes all that the backend asks of it, where it is installed; a GPU is not needed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "run_cupy_on_host.py"


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_cupy_takes_what_it_is_given(tmp_path: Path) -> None:
    """In a process of its own, whose CUDA is the host's memory."""
    environment = {**os.environ, "CUPY_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    outcome = subprocess.run(
        [sys.executable, str(SCRIPT)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )
    if outcome.stdout.startswith("skipped: "):
        pytest.skip(outcome.stdout.strip().removeprefix("skipped: "))
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == "all agree\n"
