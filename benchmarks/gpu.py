"""``python -m benchmarks.gpu --out FOLDER``: all that needs a GPU, in less than nine minutes.

The folder gets what was said of each part as it goes on:

    probe.txt           the machine, and small networks in every way that the backend knows (`benchmarks.probe`)
    tests.txt, .xml     the tests of a GPU, several at once, with what fails as soon as it does
    lockstep.txt        where something failed: which kernel or product leaves something else than on the host
    sanitizer.txt       likewise, if there is a compute-sanitizer: what it says of the probe
    benchmarks.txt      the workloads beside their peers, with why some are absent
    gpu-NAME.json, .md  the results, after each workload those until then

It needs more than CuPy: pip install ".[cuda13,test,peers]" "jax[cuda13]", or cuda12.

What is not done in time is stopped, with all that it has started; the texts say how far it was. No part stops those
behind it. The exit code is 0 where all of them ended well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from benchmarks.machine import describe_machine, name_results
from graphbptt.backend import list_backends
from graphbptt_cupy.presence import find_missing

__all__ = ["main", "run_part"]

ALL_SECONDS = 9 * 60 - 20
PROBE_SECONDS, TEST_SECONDS, LOCKSTEP_SECONDS, SANITIZER_SECONDS = 90, 150, 60, 60
"""At most so many of them for each part; what one leaves is for the benchmarks."""

TESTING, PEERS = ("pytest", "hypothesis"), ("torch", "jax")
"""What the tests, and what the benchmarks, import beside what is compared."""

LAST_WORDS = 5
"""Seconds for one that is stopped."""

STOPPED = 124
"""The exit code of a part that is stopped, as that of ``timeout``."""

PROBE = ("-m", "benchmarks.probe")
PYTEST = (
    "-m", "pytest", "-m", "gpu", "-v", "-W", "default", "-p", "no:cacheprovider", "-p", "benchmarks.failures",
    "-o", "faulthandler_timeout=60",
)  # fmt: skip
"""What CuPy warns of where it is installed is no failure."""
LOCKSTEP = "tests/gpu/test_lockstep.py"
TESTS = (*PYTEST, "tests/gpu", f"--ignore={LOCKSTEP}")
AT_ONCE = ("-p", "xdist.plugin", "-n", "8", "--dist", "worksteal")
"""Most of a test is the host's, which compiles."""
BENCHMARKS = ("-m", "benchmarks", "--device", "gpu", "--rounds", "5", "--seconds", "2", "--patience", "30")
TOOLKIT = "/usr/local/cuda/bin"
"""Where NVIDIA's installer puts it, which not every $PATH names."""
SANITIZER = ("--tool", "memcheck", "--print-limit", "20")

ENVIRONMENT = {
    "CUPY_DUMP_CUDA_SOURCE_ON_ERROR": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONUNBUFFERED": "1",
}
"""A kernel that NVRTC does not take is printed; plugins that happen to be there have no part in the tests."""

MOST_BYTES = 2**23
"""Of what a part says: its beginning and its end."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts, and return the exit code."""
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
    if "cupy" not in list_backends():
        parser.error(
            "graphbptt is not installed, so that its backends are not found; pip install --no-deps -e ."
        )
    if lacking := _list_lacking(TESTING):
        said = f"{' and '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} not installed"
        parser.error(f'the tests need {said}; pip install ".[test,peers]"')
    if lacking := _list_lacking(PEERS):
        print(f'no {" and no ".join(lacking)} to be timed beside; pip install ".[peers]"', flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    return run_all(folder, time.monotonic() + ALL_SECONDS)


def _list_lacking(modules: Sequence[str]) -> list[str]:
    return [name for name in modules if find_spec(name) is None]


def run_all(folder: Path, end: float) -> int:
    """The parts in their order, until `end`, by the clock that never goes back."""

    def run(name: str, seconds: float, *command: str) -> int:
        return run_part(command, folder / f"{name}.txt", min(seconds, end - time.monotonic()))

    python = sys.executable
    probed = run("probe", PROBE_SECONDS, python, *PROBE)
    at_once = AT_ONCE if find_spec("xdist") else ()
    tested = run("tests", TEST_SECONDS, python, *TESTS, *at_once, f"--junitxml={folder / 'tests.xml'}")
    sanitizer = shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), TOOLKIT]))
    if probed or tested:
        run("lockstep", LOCKSTEP_SECONDS, python, *PYTEST, LOCKSTEP, *at_once)
    if (probed or tested) and sanitizer is not None:
        run("sanitizer", SANITIZER_SECONDS, sanitizer, *SANITIZER, python, *PROBE, "--first")
    results = folder / f"{name_results(describe_machine('gpu'))}.json"
    measured = run("benchmarks", ALL_SECONDS, python, *BENCHMARKS, "--json", str(results))
    return probed or tested or measured


def run_part(
    command: Sequence[str], path: Path, seconds: float, environment: Mapping[str, str] = ENVIRONMENT
) -> int:
    """Run a command for at most so many seconds, with what it says in a file; return its exit code.

    It has a session of its own, of which nothing is left: contenders are processes, too, stopped most of the time.
    """
    started = time.monotonic()
    with path.open("w") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            code = process.wait(max(1.0, seconds))
        except subprocess.TimeoutExpired:
            code = STOPPED
            process.send_signal(signal.SIGINT)  # so that it says what it has done
            with suppress(subprocess.TimeoutExpired):
                process.wait(LAST_WORDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if code == STOPPED:
            said.write(f"\nstopped after {seconds:.0f} s\n")
    shorten(path, MOST_BYTES)
    taken = time.monotonic() - started
    print(f"{path.stem}: {'done' if code == 0 else f'exit code {code}'}, {taken:.0f} s", flush=True)
    return code


def shorten(path: Path, most: int) -> None:
    """Leave out the middle of a file that is longer."""
    said = path.read_bytes()
    if len(said) > most:
        path.write_bytes(
            b"%s\n... %d bytes ...\n%s" % (said[: most // 2], len(said) - most, said[-(most // 2) :])
        )


if __name__ == "__main__":
    sys.exit(main())
