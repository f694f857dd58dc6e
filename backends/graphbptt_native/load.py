"""From C text to functions that can be called: from the cache, or by the compiler."""

from __future__ import annotations

import ctypes
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from graphbptt.errors import CompilerError
from graphbptt_native.cache import Cache, hash_parts
from graphbptt_native.cpu import describe_cpu
from graphbptt_native.discover import Toolchain
from graphbptt_native.processes import run_limited

__all__ = ["Library", "load_library", "object_key"]

SECONDS = 120.0
LINES_SHOWN = 20
SOURCE, OBJECT = "source.c", "object.so"


@dataclass(frozen=True, slots=True)
class Library:
    """Compiled text: `functions` by name, and whether it had to be compiled."""

    functions: ctypes.CDLL
    compiled: bool


def object_key(source: str, toolchain: Toolchain, cpu: str) -> str:
    """What an object depends on, as a short name."""
    parts = (source, *toolchain.command, *toolchain.flags, toolchain.version, cpu)
    return hash_parts(*(part.encode() for part in parts))


def load_library(source: str, toolchain: Toolchain, cache: Cache, seconds: float = SECONDS) -> Library:
    """Compile a source, unless the cache has it, and load it.

    A cache that cannot be read or written costs time and nothing else: what is compiled is then loaded from a folder of
    this process's own.

    Raises
    ------
    CompilerError
        The compiler fails or takes longer than `seconds`, or what it made cannot be loaded.
    """
    key = object_key(source, toolchain, describe_cpu())
    kept = cache.find(key)
    if kept is not None:
        try:
            return Library(ctypes.CDLL(str(kept / OBJECT)), compiled=False)
        except OSError:
            pass  # on a file system from which nothing may be run
    with tempfile.TemporaryDirectory(prefix="graphbptt-") as name:
        made = compile_source(source, toolchain, Path(name), seconds)
        try:
            entry = cache.store(key, {SOURCE: source.encode(), OBJECT: made.read_bytes()})
            return Library(ctypes.CDLL(str(entry / OBJECT)), compiled=True)
        except OSError:
            pass  # read-only, full, or as above
        try:
            return Library(ctypes.CDLL(str(made)), compiled=True)
        except OSError as error:
            raise CompilerError(f"what the C compiler made cannot be loaded: {error}") from error


def compile_source(source: str, toolchain: Toolchain, folder: Path, seconds: float = SECONDS) -> Path:
    """Make a shared object of a source in `folder`."""
    text, target = folder / SOURCE, folder / OBJECT
    text.write_text(source, encoding="utf-8")
    try:
        outcome = run_limited(toolchain.compile_command(text, target), seconds, folder)
    except OSError as error:
        raise CompilerError(f"the C compiler cannot be started: {error}") from error
    if outcome.succeeded and target.is_file():
        return target
    ending = "did not end in time" if outcome.status is None else f"ended with status {outcome.status}"
    what = f"the C compiler {ending}; it said:"
    said = outcome.output.strip().splitlines()[:LINES_SHOWN] or ["nothing"]
    repeat = f"to repeat: {shlex.join(toolchain.compile_command(_keep(source), '/dev/null'))}"
    raise CompilerError("\n  ".join([what, *said, repeat]))


def _keep(source: str) -> Path:
    """Put a source that does not compile where its user can look at it."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="graphbptt-", suffix=".c", delete=False, encoding="utf-8"
    ) as file:
        file.write(source)
    return Path(file.name)
