"""Finding a C compiler: the order, and what is said of those that fail, hang or are not there."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from compiled import NOWHERE, toolchain

from graphbptt.errors import BackendError, CompilerError
from graphbptt_native import discover, temporary
from graphbptt_native.cache import Cache, open_cache
from graphbptt_native.discover import Candidate, Failure, Toolchain, find_toolchain, list_candidates, probe
from graphbptt_native.load import load_library
from graphbptt_native.processes import KEPT

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
    assert "$CC is 'mine': --version ended with status 3: licence expired" in message
    assert f"{path}/cc: a small program ended with status 1: math.h: no such file" in message
    assert message.splitlines()[0].startswith("no C compiler works here; install one (gcc or clang)")
    assert "pip install ziglang" in message.splitlines()[0]


@pytest.mark.parametrize("makes", ["exit 0", 'while [ "$1" != -o ]; do shift; done; echo object > "$2"'])
def test_one_that_makes_no_program(path: Path, makes: str) -> None:
    fake(path, "cc", f'test "$1" = --version && exit\n{makes}')
    with pytest.raises(BackendError, match="makes no program of a small one, and reports no error"):
        find_toolchain(NOWHERE, {"PATH": str(path)})


def test_none_is_there(path: Path) -> None:
    path.mkdir()
    with pytest.raises(BackendError, match=r"^there is no C compiler; install one \(gcc or clang\)"):
        find_toolchain(NOWHERE, environ(path))
    with pytest.raises(BackendError, match=r"\$CC is 'mine -x', which is no program on the path"):
        find_toolchain(NOWHERE, environ(path, CC="mine -x"))
    with pytest.raises(BackendError, match=r"\$CC is '\"', whose quotes are not closed"):
        find_toolchain(NOWHERE, environ(path, CC='"'))


@pytest.mark.parametrize(
    ("asked", "note"),
    [
        ("mine -x", "$CC is 'mine -x': --version ended with status 3: licence expired"),
        ("absent", "$CC is 'absent', which is no program on the path"),
        ("'", '$CC is "\'", whose quotes are not closed'),
        ("gcc", ""),
        (" ", ""),
    ],
)
def test_why_cc_is_not_taken_is_noted(path: Path, tmp_path: Path, asked: str, note: str) -> None:
    """Whether or not the one that is taken is remembered; other compilers that do not work are passed over."""
    cache = open_cache({"GRAPHBPTT_CACHE": str(tmp_path / "cache")})
    fake(path, "mine", "echo licence expired; exit 3")
    fake(path, "cc", "exit 3")
    real(path, "gcc")
    for _ in range(2):
        found = find_toolchain(cache, environ(path, CC=asked))
        assert (found.command, found.note) == ((str(path / "gcc"),), note)


def test_what_is_no_program_at_all(path: Path) -> None:
    fake(path, "cc", "").write_bytes(b"\x7fELF nothing")
    failure = probe(Candidate((str(path / "cc"),), path / "cc"))
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("it cannot be tried out: [Errno 8] Exec format error")


def test_no_place_to_try_a_compiler_out(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = real(path, "cc")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    failure = probe(Candidate((str(compiler),), compiler))
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("it cannot be tried out: [Errno 2] No such file or directory")


def test_hanging_compiler_is_ended_with_all_it_started(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    hanging = fake(path, "cc", f"(sleep 1.5; echo alive > {log}) &\nwait")
    began = time.monotonic()
    failure = probe(Candidate((str(hanging),), hanging), seconds=0.3)
    assert failure == Failure("--version did not end within 0.3 s", hangs=True)
    assert time.monotonic() - began < 1.4
    time.sleep(1.6)
    assert not log.exists()


def test_hanging_compiler_is_waited_for_once(path: Path, tmp_path: Path) -> None:
    """Neither other flags nor another name of the same file make it end; another compiler is still found."""
    log = tmp_path / "log"
    export = f"export PATH={os.defpath}"
    fake(path, "cc", f'{export}\necho called >> {log}\ntest "$1" = --version && exit\nsleep 9')
    (path / "gcc").symlink_to(path / "cc")
    with pytest.raises(BackendError, match="cc: a small program did not end within 1 s") as caught:
        find_toolchain(NOWHERE, environ(path), seconds=1.0)
    assert "gcc:" not in str(caught.value)
    assert log.read_text().split() == ["called"] * 2
    real(path, "clang")
    assert find_toolchain(NOWHERE, environ(path), seconds=5.0).command == (str(path / "clang"),)


def test_links_to_one_file_may_be_different_compilers(path: Path) -> None:
    """As where a wrapper does what the name says that it is called by."""
    wrapper = real(path, "wrapper", 'case "$0" in */cc) exit 1;; esac')
    for name in ("cc", "gcc"):
        (path / name).symlink_to(wrapper)
    assert find_toolchain(NOWHERE, environ(path)).command == (str(path / "gcc"),)


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


def failure(folder: Path, script: str, cache: Cache = NOWHERE, seconds: float = 60.0) -> CompilerError:
    """What is raised where the compiler is this script."""
    failing = fake(folder, "cc", f"export PATH={os.defpath}\n{script}")
    with pytest.raises(CompilerError) as caught:
        load_library(SOURCE, Toolchain((str(failing),), "1", ("-O1",)), cache, seconds)
    assert caught.value.exit_code == 1
    return caught.value


def kept_source(error: CompilerError) -> Path:
    last = str(error).splitlines()[-1]
    assert last.startswith("  to repeat: ")
    return Path(next(word for word in last.split() if word.endswith(".c")))


def test_failing_compiler_shows_its_message(path: Path) -> None:
    error = failure(path, "echo disk on fire >&2; exit 4")
    first, repeat = str(error).splitlines()
    assert first == "the C compiler ended with status 4: disk on fire"
    kept = kept_source(error)
    assert repeat == f"  to repeat: {path}/cc -O1 -o /dev/null {kept} -lm"
    assert kept.read_text() == SOURCE
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.unlink()


def test_first_error_is_picked_out_of_many_lines(path: Path) -> None:
    lines = ["In function f:", "x.c:1: error: no such thing", *map(str, range(100))]
    error = failure(path, f"printf '%s\\n' {shlex.join(lines)}; exit 1")
    said = str(error).splitlines()
    assert said[0] == "the C compiler ended with status 1: x.c:1: error: no such thing"
    assert said[1:4] == ["  it said:", "    In function f:", "    x.c:1: error: no such thing"]
    assert said[-2] == "    and 82 lines more"
    kept_source(error).unlink()


def test_what_a_compiler_says_moves_no_cursor(path: Path) -> None:
    """Colours and commands to the terminal are shown as what they are."""
    error = failure(path, r"printf '\033[31mx.c:1: error:\033[0m \tno\rthing\a\nthe end\n'; exit 1")
    said = str(error).splitlines()
    assert said[0] == "the C compiler ended with status 1: \\x1b[31mx.c:1: error:\\x1b[0m  no"
    assert said[2:5] == ["    \\x1b[31mx.c:1: error:\\x1b[0m  no", "    thing\\x07", "    the end"]
    kept_source(error).unlink()


def test_source_that_fails_is_kept_once_in_the_cache(path: Path, tmp_path: Path) -> None:
    cache = open_cache({"GRAPHBPTT_CACHE": str(tmp_path / "cache")})
    first, again = (kept_source(failure(path, "exit 1", cache)) for _ in range(2))
    assert first == again
    assert first.is_relative_to((tmp_path / "cache").resolve())
    assert first.read_text() == SOURCE


def test_source_that_fails_is_not_compiled_again(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first, again = (str(failure(path, f"echo called >> {log}; exit 1", seconds=50.0)) for _ in range(2))
    assert first == again
    assert log.read_text().split() == ["called"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("sleep 5", "the C compiler did not end within 0.5 s"),
        ("exec >&- 2>&-; sleep 5", "the C compiler did not end within 0.5 s"),
        ("kill -9 $$", "the C compiler was ended by signal 9 (SIGKILL)"),
        ("exit 0", "the C compiler makes no file and reports no error"),
        (
            'while [ "$1" != -o ]; do shift; done; echo text > "$2"',
            "what the C compiler made cannot be loaded",
        ),
        ('while [ "$1" != -o ]; do shift; done; mkdir "$2"', "the C compiler makes no file"),
    ],
)
def test_compiler_that_makes_nothing_of_use(path: Path, script: str, message: str) -> None:
    error = failure(path, script, seconds=0.5)
    assert str(error).startswith(message)
    assert "\n  to repeat: " in str(error)
    kept_source(error).unlink()


def test_megabytes_of_output_are_read_and_few_are_kept(path: Path) -> None:
    ends = failure(path, "yes error: no | head -c 30000000; exit 1")
    assert len(str(ends)) < 1000
    kept_source(ends).unlink()
    tracemalloc.start()
    hangs = failure(path, "yes error: no", seconds=0.5)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(hangs).startswith("the C compiler did not end within 0.5 s: error: no")
    assert used < 8 * KEPT
    kept_source(hangs).unlink()


def test_what_a_compiler_leaves_running_is_not_waited_for(path: Path) -> None:
    began = time.monotonic()
    error = failure(path, "sleep 4 & exit 1")
    assert time.monotonic() - began < 3
    assert "status 1" in str(error)
    kept_source(error).unlink()


def test_compiler_that_has_gone() -> None:
    with pytest.raises(CompilerError, match="cannot be started"):
        load_library(SOURCE, Toolchain(("/nowhere/cc",), "1", ()), Cache(None, ""))


def test_no_place_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = toolchain()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(CompilerError, match=r"there is no place for temporary files: .*absent.* in \$TMPDIR"):
        load_library(SOURCE, compiler, NOWHERE)


FULL = OSError(28, "No space left on device")


def refuse_to_run(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """As on a file system that is mounted noexec."""
    start = subprocess.Popen

    def popen(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        if Path(command[0]).is_relative_to(place):
            raise PermissionError(13, "Permission denied", command[0])
        return start(command, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)


def refuse_to_write(*_: object) -> None:
    raise FULL


def test_place_where_nothing_may_be_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real(path, "cc")
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    refuse_to_run(monkeypatch, place)
    with pytest.raises(BackendError) as caught:
        find_toolchain(NOWHERE, environ(path))
    first, second = str(caught.value).splitlines()
    said = (
        f"nothing may be run in {place} (is it mounted noexec?); start again with another folder in $TMPDIR"
    )
    assert first == f"C compilers cannot be tried out: {said}"
    assert second.startswith(f"  {path}/cc: it cannot be tried out: [Errno 13] Permission denied")


def test_place_that_is_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no fault of the compiler, and once there is room the same source is compiled."""
    compiler = real(path, "cc", 'test -e "$0.full" && { echo error: no room; exit 1; }')
    found = find_toolchain(NOWHERE, environ(path))
    monkeypatch.setattr(temporary, "_write", refuse_to_write)
    full = compiler.with_suffix(".full")
    full.touch()
    with pytest.raises(
        BackendError, match=r"^C compilers cannot be tried out: no temporary files can be written"
    ):
        find_toolchain(NOWHERE, environ(path))
    with pytest.raises(CompilerError) as caught:
        load_library(SOURCE, found, NOWHERE)
    first, second, *_ = str(caught.value).splitlines()
    said = f"no temporary files can be written to {tempfile.gettempdir()}: No space left on device; make room, or"
    assert first == f"the C compiler cannot work: {said} start again with another folder in $TMPDIR"
    assert second == "  the C compiler ended with status 1: error: no room"
    kept_source(caught.value).unlink()
    full.unlink()
    assert load_library(SOURCE, found, NOWHERE).functions.seven() == 7


def test_no_fault_where_programs_can_be_written_and_run() -> None:
    toolchain()
    assert temporary.find_fault() == ""


def test_what_a_compiler_leaves_in_its_place_is_removed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    error = failure(path, f'echo "$TMPDIR" > {tmp_path}/log; touch "$TMPDIR/left"; sleep 9', seconds=0.5)
    assert Path((tmp_path / "log").read_text().strip()).parent == place
    assert list(place.iterdir()) == [kept_source(error)]


@pytest.mark.parametrize("value", ["", "  ", "./mine -DX", "bin/../mine"])
def test_cc_that_is_empty_or_relative(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Compilers are run in a folder other than the user's, which a relative path does not mean."""
    real(path, "gcc")
    real(tmp_path, "mine")
    monkeypatch.chdir(tmp_path)
    found = find_toolchain(NOWHERE, environ(path, CC=value)).command
    wanted = (str(tmp_path / "mine"), *value.split()[1:]) if value.strip() else (str(path / "gcc"),)
    assert found == wanted
