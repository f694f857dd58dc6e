"""Finding a C compiler: the order, and what is said of those that fail, hang or are not there."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from compiled import NOWHERE, toolchain

from graphbptt.errors import BackendError, CompilerError
from graphbptt_native import discover
from graphbptt_native.cache import Cache, open_cache
from graphbptt_native.discover import Candidate, Toolchain, find_toolchain, list_candidates, probe
from graphbptt_native.load import load_library

SOURCE = "int seven(void) { return 7; }\n"


def fake(folder: Path, name: str, script: str) -> Path:
    """A program on the path that is no compiler."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def real(folder: Path, name: str, before: str = "") -> Path:
    """The compiler of this machine under another name."""
    return fake(folder, name, f'{before}\nexec {toolchain().command[0]} "$@"')


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole path, and no `ziglang`."""
    monkeypatch.setattr(discover.importlib.util, "find_spec", lambda name: None)
    return tmp_path / "bin"


def environ(path: Path, **more: str) -> dict[str, str]:
    return {"PATH": str(path), **more}


def test_order(path: Path) -> None:
    for name in ("clang", "gcc", "cc", "mine"):
        fake(path, name, "exit 0")
    found = [candidate.command for candidate in list_candidates(environ(path, CC="mine -m64"))]
    assert found == [(str(path / "mine"), "-m64"), *((str(path / name),) for name in ("cc", "gcc", "clang"))]


def test_ziglang_comes_last(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    package = tmp_path / "site" / "ziglang"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(package.parent))
    real(path, "cc")
    found = list(list_candidates(environ(path)))
    assert found[-1] == Candidate((sys.executable, "-m", "ziglang", "cc"), package / "__init__.py")
    assert len(found) == 2


def test_first_that_works_is_taken(path: Path) -> None:
    fake(path, "mine", "exit 3")
    fake(path, "cc", 'test "$1" = --version && echo no compiler')  # says its version and makes nothing
    real(path, "gcc")
    assert find_toolchain(NOWHERE, environ(path, CC="mine")).command == (str(path / "gcc"),)


def test_all_reasons_are_told(path: Path) -> None:
    fake(path, "mine", "echo licence expired; exit 3")
    fake(path, "cc", 'test "$1" = --version || { echo math.h: no such file; exit 1; }')
    with pytest.raises(BackendError) as caught:
        find_toolchain(NOWHERE, environ(path, CC="mine"))
    message = str(caught.value)
    assert f"{path}/mine: --version ended with status 3: licence expired" in message
    assert f"{path}/cc: a small program ended with status 1: math.h: no such file" in message
    assert "graphbptt[native]" in message


def test_none_is_there(path: Path) -> None:
    path.mkdir()
    with pytest.raises(BackendError, match=r"^there is no C compiler; install one \(gcc or clang\)"):
        find_toolchain(NOWHERE, environ(path))
    with pytest.raises(BackendError, match=r"\$CC is 'mine -x', which is no program on the path"):
        find_toolchain(NOWHERE, environ(path, CC="mine -x"))
    with pytest.raises(BackendError, match=r"\$CC is '\"', whose quotes are not closed"):
        find_toolchain(NOWHERE, environ(path, CC='"'))


def test_what_is_no_program_at_all(path: Path) -> None:
    fake(path, "cc", "").write_bytes(b"\x7fELF nothing")
    reason = probe(Candidate((str(path / "cc"),), path / "cc"))
    assert isinstance(reason, str)
    assert reason.startswith("it cannot be started")


def test_hanging_compiler_is_ended_with_all_it_started(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    hanging = fake(path, "cc", f"(sleep 1.5; echo alive > {log}) &\nwait")
    began = time.monotonic()
    reason = probe(Candidate((str(hanging),), hanging), seconds=0.3)
    assert reason == "--version did not end within 0.3 s"
    assert time.monotonic() - began < 1.4
    time.sleep(1.6)
    assert not log.exists()


def test_program_that_dies_here_leads_to_plainer_flags(path: Path) -> None:
    """As one does that was compiled for another processor."""
    refuse = 'case "$*" in *=native*) set -- "$@" -include "$(dirname "$0")/die.h";; esac'
    compiler = real(path, "cc", refuse)
    (path / "die.h").write_text(
        "#include <stdlib.h>\n__attribute__((constructor)) static void die(void) { abort(); }\n"
    )
    found = probe(Candidate((str(compiler),), compiler))
    assert isinstance(found, Toolchain)
    assert not any("native" in flag for flag in found.flags)


def test_vectors_are_those_of_the_flags() -> None:
    """As the compiler says itself, in a program that would not compile otherwise."""
    claims = {
        64: "defined __AVX512F__",
        32: "defined __AVX__ && !defined __AVX512F__",
        16: "!defined __AVX__",
    }
    claim = claims[toolchain().vectors.size]
    library = load_library(f"#if {claim}\n{SOURCE}\n#endif\n", toolchain(), NOWHERE)
    assert library.functions.seven() == 7


def test_findings_are_kept_while_the_compiler_stays(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    compiler = real(path, "cc", f"echo $# >> {log}")
    cache = open_cache({"GRAPHBPTT_CACHE": str(tmp_path / "cache")})
    first = find_toolchain(cache, environ(path))
    calls = log.read_text()
    assert find_toolchain(cache, environ(path)) == first
    assert log.read_text() == calls
    os.utime(compiler, (1, 1))
    assert find_toolchain(cache, environ(path)) == first
    assert log.read_text() == calls * 2


def test_failing_compiler_shows_its_message(path: Path) -> None:
    failing = fake(path, "cc", "echo disk on fire >&2; exit 4")
    with pytest.raises(CompilerError) as caught:
        load_library(SOURCE, Toolchain((str(failing),), "1", ("-O1",)), NOWHERE)
    first, said, repeat = str(caught.value).splitlines()
    assert first == "the C compiler ended with status 4; it said:"
    assert said == "  disk on fire"
    assert repeat.startswith(f"  to repeat: {failing} -O1 -o /dev/null ")
    kept = Path(next(word for word in repeat.split() if word.endswith(".c")))
    assert kept.read_text() == SOURCE
    kept.unlink()
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("sleep 5", "did not end in time"),
        ("exit 0", "ended with status 0; it said:\n  nothing"),
        ('while [ "$1" != -o ]; do shift; done; echo text > "$2"', "cannot be loaded"),
    ],
)
def test_compiler_that_makes_nothing_of_use(path: Path, script: str, message: str) -> None:
    useless = fake(path, "cc", f"export PATH={os.defpath}\n{script}")
    with pytest.raises(CompilerError) as caught:
        load_library(SOURCE, Toolchain((str(useless),), "1", ()), NOWHERE, seconds=0.5)
    assert message in str(caught.value)


def test_compiler_that_has_gone() -> None:
    with pytest.raises(CompilerError, match="cannot be started"):
        load_library(SOURCE, Toolchain(("/nowhere/cc",), "1", ()), Cache(None, ""))
