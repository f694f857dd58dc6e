"""The place of temporary files, in which compilers work: what may be wrong with it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from graphbptt_native.processes import run_limited

__all__ = ["find_fault"]

ROOM = 2**22
"""The bytes that a compiler may need for a network."""
SECONDS = 10.0
PROGRAM, FILLING = b"#!/bin/sh\nexit 0\n", b"#" * 2**16
REMEDY = "start again with another folder in $TMPDIR"


def find_fault() -> str:
    """Why no compiler can work in the place of temporary files, and what to do; empty where one can.

    To be asked where one has failed: it is tried out by a program that is as large as what compilers write.
    """
    try:
        place = tempfile.gettempdir()
        with tempfile.TemporaryDirectory(prefix="graphbptt-") as name:
            program = Path(name, "program")
            _write(program)
            return (
                ""
                if _may_run(program)
                else f"nothing may be run in {place} (is it mounted noexec?); {REMEDY}"
            )
    except FileNotFoundError as error:
        return f"there is no place for temporary files: {error}; {REMEDY}"
    except OSError as error:
        return f"no temporary files can be written to {place}: {error.strerror}; make room, or {REMEDY}"


def _write(program: Path) -> None:
    with program.open("wb") as file:
        file.write(PROGRAM)
        for _ in range(ROOM // len(FILLING)):
            file.write(FILLING)
        file.flush()
        os.fsync(file.fileno())
    program.chmod(0o700)


def _may_run(program: Path) -> bool:
    try:
        run_limited((str(program),), SECONDS)
    except PermissionError:
        return False
    except OSError:  # something else, which says nothing of the place
        pass
    return True
