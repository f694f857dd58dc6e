"""Which C compiler to use: $CC, cc, gcc, clang, then the one that the package `ziglang` brings.

A compiler counts if it says its version, and compiles and links a small program that then runs. The first set of flags
with which that works is the one used. One that hangs once is not asked again, under whatever name. What was found is
kept, for as long as the compiler's file stays the same.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from graphbptt.codegen.products.vectors import SMALLEST, VectorUnit
from graphbptt.errors import BackendError
from graphbptt_native.cache import Cache, hash_parts
from graphbptt_native.cpu import describe_cpu
from graphbptt_native.flags import flag_choices
from graphbptt_native.processes import Outcome, run_limited
from graphbptt_native.temporary import find_fault
from graphbptt_native.vectors import find_vectors

__all__ = ["Candidate", "Failure", "Toolchain", "check_system", "find_toolchain", "list_candidates", "probe"]

REMEDY = "install one (gcc or clang), name one in $CC, or pip install ziglang"
POSIX = os.name == "posix"
FINDINGS = "toolchain.json"
SECONDS = 60.0
"""How long a compiler may take for a program of five lines. That of `ziglang` first compiles C's library: 20 s."""

PROBE = """\
#include <math.h>
#include <stddef.h>
#include <string.h>
int main(int count, char **words) {
    float sum = 0.0f, values[64];
    for (int i = 0; i < 64; i++) values[i] = sqrtf((float)(i * count));
    for (int i = 0; i < 64; i++) sum += values[i] * (float)(words != NULL);
    return sum > 300.0f && sum < 360.0f ? 0 : 1;
}
"""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A compiler that works here: the words that start it, what it says of its version, its flags, and the vectors that
    these ask for; and why it is not the one that $CC names, where that is so."""

    command: tuple[str, ...]
    version: str
    flags: tuple[str, ...]
    vectors: VectorUnit = SMALLEST
    note: str = ""

    def compile_command(self, source: Path | str, target: Path | str) -> tuple[str, ...]:
        """The command line that makes a shared object of a source."""
        return (*self.command, *self.flags, "-o", str(target), str(source), "-lm")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A compiler that may work: the words that start it, the file whose change makes it another one, and what $CC says
    where that names it."""

    command: tuple[str, ...]
    file: Path
    asked: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"$CC is {self.asked!r}" if self.asked else shlex.join(self.command)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a compiler does not work, and whether it was waited for in vain."""

    reason: str
    hangs: bool = False


def list_candidates(environ: Mapping[str, str] = os.environ) -> Iterator[Candidate]:
    """The compilers to try, in order, those that are not there left out."""
    asked = environ.get("CC", "")
    for command, named in ((_read_cc(environ), asked), (["cc"], ""), (["gcc"], ""), (["clang"], "")):
        file = shutil.which(command[0], path=environ.get("PATH")) if command else None
        if file is not None:
            file = os.path.abspath(file)  # noqa: PTH100 - a link must stay: its name may say which compiler it is
            yield Candidate((file, *command[1:]), Path(file), named)
    package = importlib.util.find_spec("ziglang")
    if package is not None and package.origin is not None:
        yield Candidate((sys.executable, "-m", "ziglang", "cc"), Path(package.origin))


def _read_cc(environ: Mapping[str, str]) -> list[str]:
    """The words of $CC, none where its quotes are not closed."""
    try:
        return shlex.split(environ.get("CC", ""))
    except ValueError:
        return []


def check_system() -> None:
    """Refuse a system on which none of what follows is there: owners of files, groups of processes, shared objects.

    Raises
    ------
    BackendError
        This is one.
    """
    if not POSIX:
        raise BackendError(f"generated C is compiled on POSIX systems only, not on {platform.system()}")


def find_toolchain(
    cache: Cache, environ: Mapping[str, str] = os.environ, seconds: float = SECONDS
) -> Toolchain:
    """The first compiler that works here, tried out unless the cache remembers it; no run of one takes over `seconds`.
    Where it is not the one that $CC names, its note says why.

    Raises
    ------
    BackendError
        None does; says what is wrong with each, or with the place of temporary files, and what to do.
    """
    reasons = _doubt_cc(environ)
    hanging: set[Path] = set()
    for candidate in list_candidates(environ):
        file = candidate.file.resolve()
        if file in hanging:
            continue
        known = _recall(candidate, cache)
        found = known or probe(candidate, seconds)
        if isinstance(found, Failure):
            if found.hangs:
                hanging.add(file)
            reasons.append(f"{candidate.name}: {found.reason}")
            continue
        if known is None:
            _remember(candidate, found, cache)
        # Of all that is tried, $CC comes first.
        return replace(found, note=reasons[0]) if reasons and _names_one(environ) else found
    fault = find_fault() if reasons else ""
    if fault:
        raise BackendError("\n  ".join([f"C compilers cannot be tried out: {fault}", *reasons]))
    what = "no C compiler works here" if reasons else "there is no C compiler"
    raise BackendError("\n  ".join([f"{what}; {REMEDY}", *reasons]))


def _names_one(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("CC", "").strip())


def _doubt_cc(environ: Mapping[str, str]) -> list[str]:
    """Why $CC, if it is set, names no compiler to try."""
    if not _names_one(environ):
        return []
    words = _read_cc(environ)
    if not words:
        return [f"$CC is {environ['CC']!r}, whose quotes are not closed"]
    there = shutil.which(words[0], path=environ.get("PATH"))
    return [] if there else [f"$CC is {environ['CC']!r}, which is no program on the path"]


def _memory_key(candidate: Candidate) -> str:
    """What the findings about a compiler depend on; a link is followed to what it now leads to."""
    status = candidate.file.stat()
    file = candidate.file.resolve(), status.st_mtime_ns, status.st_size
    kept = [field.name for field in fields(Toolchain)]
    parts = (candidate.command, *file, flag_choices(platform.machine()), describe_cpu(), kept)
    return hash_parts(*(str(part).encode() for part in parts))


def _recall(candidate: Candidate, cache: Cache) -> Toolchain | None:
    try:
        entry = cache.find(_memory_key(candidate))
        if entry is None:
            return None
        known = json.loads((entry / FINDINGS).read_bytes())
    except OSError:
        return None
    vectors = VectorUnit(*known["vectors"])
    return Toolchain(candidate.command, known["version"], tuple(known["flags"]), vectors)


def _remember(candidate: Candidate, toolchain: Toolchain, cache: Cache) -> None:
    vectors = (toolchain.vectors.size, toolchain.vectors.registers)
    known = {"version": toolchain.version, "flags": toolchain.flags, "vectors": vectors}
    with contextlib.suppress(OSError):  # it is found again next time
        cache.store(_memory_key(candidate), {FINDINGS: json.dumps(known).encode()})


def probe(candidate: Candidate, seconds: float = SECONDS) -> Toolchain | Failure:
    """Try a compiler; where it does not work, why."""
    try:
        version = run_limited((*candidate.command, "--version"), seconds)
        if not version.succeeded:
            return _describe("--version", version, seconds)
        for flags in flag_choices(platform.machine()):
            toolchain = Toolchain(candidate.command, version.output.strip(), flags)
            failure = _try_out(toolchain, seconds)
            if failure is None:
                return replace(toolchain, vectors=_ask_for_vectors(toolchain, seconds))
            if failure.hangs:  # other flags would hang too
                break
    except OSError as error:
        return Failure(f"it cannot be tried out: {error}")
    assert failure is not None
    return failure


def _try_out(toolchain: Toolchain, seconds: float) -> Failure | None:
    """Compile and run a program in a process of its own: one with instructions that are unknown here dies there."""
    with tempfile.TemporaryDirectory(prefix="graphbptt-") as folder:
        source, program = Path(folder, "probe.c"), Path(folder, "probe")
        source.write_text(PROBE, encoding="utf-8")
        words = [word for word in toolchain.compile_command(source, program) if word != "-shared"]
        compiled = run_limited(words, seconds, Path(folder))
        if not compiled.succeeded:
            return _describe("a small program", compiled, seconds)
        if not program.exists() or not program.stat().st_mode & 0o111:
            return Failure("it makes no program of a small one, and reports no error")
        ran = run_limited((str(program),), seconds, Path(folder))
        return None if ran.succeeded else _describe("what it compiled", ran, seconds)


def _ask_for_vectors(toolchain: Toolchain, seconds: float) -> VectorUnit:
    """The vectors that the compiler uses with these flags."""
    words = [word for word in toolchain.flags if word != "-shared"]
    asked = run_limited((*toolchain.command, *words, "-dM", "-E", "-x", "c", os.devnull), seconds)
    return find_vectors(asked.output) if asked.succeeded else SMALLEST


def _describe(what: str, outcome: Outcome, seconds: float) -> Failure:
    lines = outcome.output.strip().splitlines()
    said = f": {lines[0] if len(lines) == 1 else ' / '.join(lines[:3])}" if lines else ""
    return Failure(f"{what} {outcome.describe(seconds)}{said}", outcome.status is None)
