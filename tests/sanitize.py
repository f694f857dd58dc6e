"""``python tests/sanitize.py [PYTEST ARGUMENTS]``: the tests of generated C under the sanitizers of gcc and of clang.

Generated code is compiled with ``-fsanitize=address,undefined`` and once more with ``-fsanitize=thread``; the first
report ends the run. The interpreter is not instrumented: it has the sanitizer's run-time library loaded before anything
else, so that memory which NumPy allocates is watched too. Tests named in the arguments are run in place of all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Sanitizer", "list_sanitizers"]

TESTS = Path(__file__).parent
WATCHED = (
    *(
        f"conformance/test_{part}.py"
        for part in ("random_graphs", "streaming", "wide_networks", "named_networks", "cells")
    ),
    *(
        f"backends/test_native_{part}.py"
        for part in (
            "scans", "sparse", "noise", "threads", "contraction", "sweeps", "positions", "guards",
        )
    ),
    "backends/test_cupy_persistent.py",
    *(f"codegen/products/test_{part}.py" for part in ("contraction", "product")),
)  # fmt: skip
IN_PARALLEL = ("-q", "-s", "-p", "watched", "-n", "auto", "--dist", "worksteal", "--maxfail", "1")
OPTIONS = {
    # An interpreter keeps much until it ends.
    "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1",
}


@dataclass(frozen=True, slots=True)
class Sanitizer:
    """A compiler with a list of sanitizers, and the library that has to be loaded first."""

    compiler: str
    checks: str
    library: Path

    def environment(self, cache: Path) -> dict[str, str]:
        """Variables under which generated code is compiled so and can be run."""
        words = f"{self.compiler} -fsanitize={self.checks} -fno-sanitize-recover=all -g"
        # C++ of other extensions throws through the interceptor, which looks for what it stands for at the start.
        first = " ".join(str(path) for path in (self.library, _ask_for_file(self.compiler, "libstdc++.so.6")))
        return OPTIONS | {
            "CC": f"env -u LD_PRELOAD {words}{' -shared-libsan' if self.compiler == 'clang' else ''}",
            "LD_PRELOAD": first,
            "GRAPHBPTT_CACHE": str(cache),
            "OPENBLAS_NUM_THREADS": "1",  # as conftest.py says, which comes after the plugin that loads NumPy
            "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
        }


def list_sanitizers() -> Iterator[Sanitizer]:
    """Those of the compilers on the path whose libraries are there."""
    machine = os.uname().machine
    names = {
        "gcc": {"address,undefined": "libasan.so", "thread": "libtsan.so"},
        "clang": {
            "address,undefined": f"libclang_rt.asan-{machine}.so",
            "thread": f"libclang_rt.tsan-{machine}.so",
        },
    }
    for compiler, libraries in names.items():
        for checks, name in libraries.items() if shutil.which(compiler) else ():
            library = _ask_for_file(compiler, name)
            if library.is_absolute():
                yield Sanitizer(compiler, checks, library)


def _ask_for_file(compiler: str, name: str) -> Path:
    """The path of a library of the compiler's, the bare name where it has none."""
    asked = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return Path(asked.stdout.strip())


def main() -> int:
    """Run the tests under every sanitizer; 1 if one of them fails or there is none."""
    given = sys.argv[1:]
    named = any(not word.startswith("-") for word in given)
    chosen = given if named else [*given, *(str(TESTS / name) for name in WATCHED)]
    failed = []
    sanitizers = list(list_sanitizers())
    for sanitizer in sanitizers:
        print(f"{sanitizer.compiler} -fsanitize={sanitizer.checks}", flush=True)
        with tempfile.TemporaryDirectory() as cache:
            environment = os.environ | sanitizer.environment(Path(cache))
            outcome = subprocess.run([sys.executable, "-m", "pytest", *IN_PARALLEL, *chosen], env=environment)
        if outcome.returncode:
            failed.append(sanitizer)
    print(f"{len(failed)} of {len(sanitizers)} failed" if sanitizers else "no compiler here has sanitizers")
    return int(bool(failed) or not sanitizers)


if __name__ == "__main__":
    sys.exit(main())
