"""Other programs, run with a time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Outcome", "run_limited"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a program: its exit status (None where it did not end in time), and all that it printed."""

    status: int | None
    output: str

    @property
    def succeeded(self) -> bool:
        return self.status == 0


def run_limited(command: Sequence[str], seconds: float, folder: Path | None = None) -> Outcome:
    """Run a program without a shell and without input; after `seconds` it and all that it started are ended.

    Raises
    ------
    OSError
        It cannot be started.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end_group(process)
            output, _ = process.communicate()
            return Outcome(None, output.decode(errors="replace"))
        except BaseException:  # an interrupt must not leave a compiler behind
            _end_group(process)
            raise
    return Outcome(process.returncode, output.decode(errors="replace"))


def _end_group(process: subprocess.Popen[bytes]) -> None:
    # A compiler driver starts others, which would go on without it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
