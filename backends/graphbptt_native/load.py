"""From C text to functions that can be called: from the cache, or by the compiler."""

from __future__ import annotations

import ctypes
import os
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graphbptt.backend import log_once
from graphbptt.errors import CompilerError
from graphbptt_native.cache import ANOTHER_FOLDER, Cache, hash_parts
from graphbptt_native.cpu import describe_cpu
from graphbptt_native.discover import Toolchain
from graphbptt_native.processes import run_limited
from graphbptt_native.temporary import find_fault

__all__ = ["SECONDS", "Library", "load_library", "object_key"]

SECONDS = 60.0
"""How long a compiler may take for the loops of a network; half a second is usual."""
LINES_SHOWN, COLUMNS_SHOWN = 20, 200
SOURCE, OBJECT = "source.c", "object.so"

_failures: dict[tuple[str, float], str] = {}
"""What the compiler said of the sources it failed on in this process, by the key of the object and the limit."""


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
    this process's own. A source that does not compile is kept, for its user to repeat the command that failed.

    Raises
    ------
    CompilerError
        The compiler fails or takes longer than `seconds`, or what it made cannot be loaded. It is not run again for the
        same source in this process, unless it was the place of temporary files that was at fault.
    """
    key = object_key(source, toolchain, describe_cpu())
    kept = cache.find(key)
    if kept is not None:
        try:
            return Library(ctypes.CDLL(str(kept / OBJECT)), compiled=False)
        except OSError:
            cache.remove(key)  # no object, or on a file system from which nothing may be run
    if (key, seconds) in _failures:
        raise CompilerError(_failures[key, seconds])
    try:
        with tempfile.TemporaryDirectory(prefix="graphbptt-") as name:
            made = compile_source(source, toolchain, cache, Path(name), seconds)
            return Library(_load_made(made, source, key, toolchain, cache), compiled=True)
    except (CompilerError, OSError) as error:
        fault = find_fault()
        if fault:  # which may be mended: it is tried again
            raise CompilerError(f"the C compiler cannot work: {fault}\n  {error}") from error
        if isinstance(error, OSError):
            raise CompilerError(f"what is compiled cannot be written: {error}") from error
        _failures[key, seconds] = str(error)
        raise


def _load_made(made: Path, source: str, key: str, toolchain: Toolchain, cache: Cache) -> ctypes.CDLL:
    """Load what was made, from the cache where it can be kept; a line says where it cannot."""
    kept = _load_kept(made, source, key, cache)
    if not isinstance(kept, str):
        return kept
    try:
        loaded = ctypes.CDLL(str(made))
    except OSError as error:
        what = f"what the C compiler made cannot be loaded: {error}"
        raise CompilerError(f"{what}\n  {_how_to_repeat(source, toolchain, cache)}") from error
    if cache.folder is not None:  # else that is known
        log_once(f"graphbptt compiles anew in every process; {kept}")
    return loaded


def _load_kept(made: Path, source: str, key: str, cache: Cache) -> ctypes.CDLL | str:
    """Keep what was made and load it from there; else why that cannot be, which is the same for all objects."""
    try:
        entry = cache.store(key, {SOURCE: source.encode(), OBJECT: made.read_bytes()})
    except OSError as error:  # full or read-only
        reason = error.strerror or str(error)
        return f"{cache.folder} keeps nothing: {reason}; make room, or {ANOTHER_FOLDER}"
    try:
        return ctypes.CDLL(str(entry / OBJECT))
    except OSError as error:
        reason = str(error).rpartition(": ")[2]  # what is before it names the object
        what = f"nothing can be loaded from {cache.folder} (is it mounted noexec?): {reason}"
        return f"{what}; {ANOTHER_FOLDER}"


def compile_source(
    source: str, toolchain: Toolchain, cache: Cache, folder: Path, seconds: float = SECONDS
) -> Path:
    """Make a shared object of a source in `folder`."""
    text, target = folder / SOURCE, folder / OBJECT
    text.write_text(source, encoding="utf-8")
    try:
        outcome = run_limited(toolchain.compile_command(text, target), seconds, folder)
    except OSError as error:
        raise CompilerError(f"the C compiler cannot be started: {error}") from error
    if outcome.succeeded and target.is_file():
        return target
    lines = outcome.output.strip().splitlines()
    ending = outcome.describe(seconds) if not outcome.succeeded else "makes no file and reports no error"
    message = [f"the C compiler {ending}{_pick(lines)}"]
    if len(lines) > 1:
        message += ["it said:", *(f"  {_show(line)}" for line in lines[:LINES_SHOWN])]
    if len(lines) > LINES_SHOWN:
        message.append(f"  and {len(lines) - LINES_SHOWN} lines more")
    message.append(_how_to_repeat(source, toolchain, cache))
    raise CompilerError("\n  ".join(message))


def _show(line: str) -> str:
    """The beginning of a line, without what a terminal would obey."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line[:COLUMNS_SHOWN].expandtabs())


def _pick(lines: Sequence[str]) -> str:
    """The line that says most: the first error, else the first of all."""
    telling = next((line for line in lines if "error" in line), next(iter(lines), ""))
    return f": {_show(telling.strip())}" if telling else ""


def _how_to_repeat(source: str, toolchain: Toolchain, cache: Cache) -> str:
    return f"to repeat: {shlex.join(toolchain.compile_command(_keep(source, cache), os.devnull))}"


def _keep(source: str, cache: Cache) -> Path:
    """Put a source that does not compile where its user can look at it."""
    content = source.encode()
    try:
        return cache.store(hash_parts(b"a source that failed", content), {SOURCE: content}) / SOURCE
    except OSError:
        number, name = tempfile.mkstemp(prefix="graphbptt-", suffix=".c")
    with os.fdopen(number, "wb") as file:
        file.write(content)
    return Path(name)
