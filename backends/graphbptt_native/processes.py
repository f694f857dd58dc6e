"""Other programs, run with a time limit."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Outcome", "run_limited"]

KEPT = 2**18
"""How many bytes of what a program prints are kept: the first ones, which say what is wrong."""
CHUNK = 2**16
POLL = 0.05
"""How often, in seconds, a program is looked at that prints nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a program: its exit status, negative where a signal ended it, None where it did not end in time;
    and the beginning of what it printed."""

    status: int | None
    output: str

    @property
    def succeeded(self) -> bool:
        return self.status == 0

    def describe(self, seconds: float) -> str:
        """How it ended, given its time limit.

        >>> Outcome(-9, "").describe(5.0)
        'was ended by signal 9 (SIGKILL)'
        """
        if self.status is None:
            return f"did not end within {seconds:g} s"
        if self.status < 0:
            names = {one.value: f" ({one.name})" for one in signal.Signals}
            return f"was ended by signal {-self.status}{names.get(-self.status, '')}"
        return f"ended with status {self.status}"


def run_limited(command: Sequence[str], seconds: float, folder: Path | None = None) -> Outcome:
    """Run a program without a shell and without input; after `seconds` it and all that it started are ended.

    In a `folder` it also has its temporary files, which one that is ended leaves behind.

    Raises
    ------
    OSError
        It cannot be started.
    """
    deadline = time.monotonic() + seconds
    output = bytearray()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=None if folder is None else {**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        bufsize=0,
    )
    with process:
        try:
            _read(process, output, deadline)
            status: int | None = process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _end_group(process)
            status = None
        except BaseException:  # an interrupt must not leave a compiler behind
            _end_group(process)
            raise
    return Outcome(status, output.decode(errors="replace"))


def _read(process: subprocess.Popen[bytes], output: bytearray, deadline: float) -> None:
    """Add the beginning of what a program prints to `output`; drop the rest, but read it, for the program to go on.

    Reading stops when the program ends: what it has started may live on and hold its output open.
    """
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            ended = process.poll() is not None
            if not selector.select(0.0 if ended else min(left, POLL)):
                if ended:
                    return
                continue
            chunk = os.read(process.stdout.fileno(), CHUNK)
            output += chunk[: KEPT - len(output)]
            if not chunk or (ended and len(output) >= KEPT):
                return


def _end_group(process: subprocess.Popen[bytes]) -> None:
    # A compiler driver starts others, which would go on without it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
