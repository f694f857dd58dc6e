"""``python -m benchmarks.gpu --out FOLDER``: the tests and the benchmarks that need a GPU, in less than nine minutes.

The folder gets tests.xml, tests.txt, benchmarks.txt, and the results as JSON and as a table. What is not done in time
is stopped; the texts say how far it was. The exit code is 0 where all of it ended well.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import describe_machine, name_results
from graphbptt_cupy.presence import find_missing

__all__ = ["main", "run_parts"]

ALL_SECONDS = 9 * 60 - 20
TEST_SECONDS = 200
"""At most so many of them for the tests."""

TESTS = ("-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider")
BENCHMARKS = ("-m", "benchmarks", "--device", "gpu", "--rounds", "5", "--seconds", "2", "--patience", "25")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both parts, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the results go")
    folder: Path = parser.parse_args(arguments).out
    missing = find_missing()
    if missing is not None:
        parser.error(f"no GPU can be used here: {missing}")
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / f"{name_results(describe_machine('gpu'))}.json"
    return run_parts(
        {
            "tests": ((*TESTS, f"--junitxml={folder / 'tests.xml'}"), TEST_SECONDS),
            "benchmarks": ((*BENCHMARKS, "--json", str(results)), ALL_SECONDS),
        },
        folder,
    )


def run_parts(parts: dict[str, tuple[tuple[str, ...], float]], folder: Path) -> int:
    """Run Python with each part's arguments until so many seconds after the start; what it says goes to a file.

    Returns the first exit code that is not 0, that of a part which is stopped being 124.
    """
    start, first = time.monotonic(), 0
    for name, (command, until) in parts.items():
        with (folder / f"{name}.txt").open("w") as said:
            left = until - (time.monotonic() - start)
            try:
                outcome = subprocess.run(
                    [sys.executable, *command],
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    timeout=left,
                    check=False,
                )
                code = outcome.returncode
            except subprocess.TimeoutExpired:
                said.write(f"\nstopped: {until:.0f} s after the start of all\n")
                code = 124
        print(
            f"{name}: {'done' if code == 0 else f'exit code {code}'}, {time.monotonic() - start:.0f} s",
            flush=True,
        )
        first = first or code
    return first


if __name__ == "__main__":
    sys.exit(main())
