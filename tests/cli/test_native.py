"""The command line where native runs, where its compiler fails or hangs, and where there is none."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compiled import toolchain

SPECS = Path(__file__).parents[2] / "specs"
ADDITION = str(SPECS / "binary_addition.yaml")
QUICK = ["data.examples=64", "data.validation.examples=16", "data.test.examples=16", "training.epochs=1"]

FAILS = 'case "$*" in *source.c*) echo "source.c:7:1: error: out of ideas"; exit 1;; esac'
SLEEP = shutil.which("sleep")
DIES = 'case "$*" in *source.c*) kill -9 $$;; esac'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, in which `bin` is all of the path and `cache` what is kept; no package `ziglang`, no GPU."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(
        "import sys\nsys.modules['ziglang'] = None\n"
        "from graphbptt import backend\nbackend.AUTO_ORDER = ('native', 'numpy')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "hidden"), *sys.path]))
    monkeypatch.setenv("GRAPHBPTT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path


def offer_compiler(folder: Path, before: str = "") -> None:
    """The compiler of this machine as `cc`, which does something else first."""
    compiler = folder / "bin" / "cc"
    compiler.write_text(f'#!/bin/sh\n{before}\nPATH={os.defpath} exec {toolchain().command[0]} "$@"\n')
    compiler.chmod(0o755)


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PATH": str(Path("bin").resolve())}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def graphbptt(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "graphbptt", *arguments)


def test_auto_takes_native_and_says_nothing_of_it(here: Path) -> None:
    offer_compiler(here)
    done = graphbptt("train", ADDITION, *QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    assert "parameters, backend native\n" in done.stdout
    explained = graphbptt("explain", ADDITION)
    assert (explained.returncode, explained.stderr) == (0, "")
    assert "parameters, backend native\n" in explained.stdout
    listed = graphbptt("backends").stdout.splitlines()
    assert next(line for line in listed if line.startswith("native: available (auto)"))


def test_backends_says_what_native_compiles_with(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where the objects are, of which there is one more after a network was compiled."""
    offer_compiler(here)
    monkeypatch.setenv("CC", "nowhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    held = []
    for _ in range(2):
        done = graphbptt("backends")
        assert (done.returncode, done.stderr) == (0, "")
        _, _, listed = done.stdout.partition("native: available (auto)\n")
        said = dict(line.strip().split(": ", 1) for line in listed.splitlines()[:5])
        assert said["compiler"] == f"{here}/bin/cc, {toolchain().version.splitlines()[0]}"
        assert said["passed over"] == "$CC is 'nowhere', which is no program on the path"
        assert said["flags"].split() == list(toolchain().flags)
        assert said["threads"] == "1"
        held.append(
            re.fullmatch(rf"{here}/cache, (.*) MB in (\d+) entr.*; it may grow to 256 MB", said["cache"])
        )
        assert graphbptt("explain", ADDITION).returncode == 0
    first, second = ((float(found[1]), int(found[2])) for found in held if found)
    assert first == (0.0, 1)  # what was found of the compiler
    assert second[1] == 2


def test_second_start_runs_no_compiler(here: Path) -> None:
    offer_compiler(here, f"echo called >> {here}/log")
    first = graphbptt("explain", ADDITION)
    calls = Path("log").read_text()
    assert calls
    assert graphbptt("explain", ADDITION).stdout == first.stdout
    assert graphbptt("check", ADDITION, "dtype=float32", "--examples", "1").returncode == 0
    assert "(auto)" in graphbptt("backends").stdout
    with_double = Path("log").read_text()
    assert with_double.count("called") == calls.count("called") + 1  # `check` compares in double precision


def test_source_text_needs_no_compiler(here: Path) -> None:
    del here
    done = graphbptt("explain", ADDITION, "--emit", "c", "backend=native")
    assert done.returncode == 0
    assert "void forward_1(" in done.stdout


def test_without_a_compiler_auto_says_in_one_line_what_would_be_faster(here: Path) -> None:
    for command in (["train", *QUICK], ["check"]):
        done = graphbptt(command[0], ADDITION, *command[1:])
        assert done.returncode == 0
        (line,) = done.stderr.splitlines()
        assert line.startswith(
            "graphbptt runs on numpy, not on the faster native: there is no C compiler; install"
        )
        assert line.endswith("pip install ziglang")
    assert "numpy: available (auto)" in graphbptt("backends").stdout
    asked = graphbptt("train", ADDITION, *QUICK, "backend=native")
    assert asked.returncode == 2
    assert asked.stderr.startswith("backend 'native' cannot run here: there is no C compiler; install one")
    assert len(list((here / "runs").iterdir())) == 1


@pytest.mark.parametrize("asked", ["nowhere", "/bin/false"])
def test_cc_that_does_not_work_is_named(here: Path, monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    """In a line where there is another compiler, in the error where there is none."""
    monkeypatch.setenv("CC", asked)
    alone = graphbptt("train", ADDITION, *QUICK, "backend=native")
    assert alone.returncode == 2
    assert f"\n  $CC is {asked!r}" in alone.stderr
    offer_compiler(here)
    for backend in ("auto", "native"):
        done = graphbptt("train", ADDITION, *QUICK, f"backend={backend}")
        assert done.returncode == 0
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"graphbptt compiles with {here}/bin/cc; $CC is {asked!r}")
        assert "parameters, backend native\n" in done.stdout


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (FAILS, "the C compiler ended with status 1: source.c:7:1: error: out of ideas"),
        (DIES, "the C compiler was ended by signal 9 (SIGKILL)"),
    ],
)
def test_compiler_that_fails_on_a_network(here: Path, script: str, what: str) -> None:
    """Native asked for by name is an error, with the command line to repeat; auto goes on."""
    offer_compiler(here, script)
    asked = graphbptt("train", ADDITION, *QUICK, "backend=native")
    assert asked.returncode == 1
    first, *_, repeat = asked.stderr.splitlines()
    assert first == what
    assert "Traceback" not in asked.stderr
    assert not (here / "runs").exists()
    command = repeat.removeprefix("  to repeat: ")
    again = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert again.stdout.strip() == what.partition(": ")[2]

    auto = graphbptt("train", ADDITION, *QUICK)
    assert auto.returncode == 0
    (line,) = auto.stderr.splitlines()
    assert line == f"graphbptt runs on numpy, not on the faster native: {what} ('backend: native' shows more)"
    assert "parameters, backend numpy\n" in auto.stdout


def test_compiler_that_hangs_on_a_network(here: Path) -> None:
    """As one that fails: an error where it is asked for, a line where it is not, and waited for once."""
    offer_compiler(here, f'case "$*" in *source.c*) echo hanging >> {here}/log; {SLEEP} 60;; esac')
    with (here / "hidden" / "sitecustomize.py").open("a") as file:
        file.write("import graphbptt_native\ngraphbptt_native.backend.seconds = 1.0\n")
    asked = graphbptt("explain", ADDITION, "backend=native")
    assert asked.returncode == 1
    assert asked.stderr.splitlines()[0] == "the C compiler did not end within 1 s"
    assert "Traceback" not in asked.stderr
    Path("log").unlink()
    code = (
        f"import graphbptt; models = [graphbptt.load({ADDITION!r}).compile() for _ in range(3)]; "
        "print(*(model.backend for model in models))"
    )
    auto = run_python("-c", code)
    assert (auto.returncode, auto.stdout) == (0, "numpy numpy numpy\n")
    (line,) = auto.stderr.splitlines()
    assert "not on the faster native: the C compiler did not end within 1 s (" in line
    assert Path("log").read_text().split() == ["hanging"]


@pytest.mark.usefixtures("here")
def test_warnings_as_errors_do_not_stop_auto() -> None:
    code = (
        "import graphbptt, networkx; model = graphbptt.compile(networkx.DiGraph([('h', 'h')])); "
        "print(model.backend, model.run({}, steps=2)['h'].shape)"
    )
    done = run_python("-W", "error", "-c", code)
    assert done.returncode == 0
    assert done.stdout == "numpy (1, 2, 1)\n"
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (
            "noexec",
            "C compilers cannot be tried out: nothing may be run in {0} (is it mounted noexec?); start again",
        ),
        (
            "size=8k",
            "C compilers cannot be tried out: no temporary files can be written to {0}: No space left",
        ),
    ],
)
def test_mounted_place_for_temporary_files(
    here: Path, monkeypatch: pytest.MonkeyPatch, options: str, what: str
) -> None:
    """In a name space of its own, where the system lets its users have one."""
    offer_compiler(here)
    place = here / "mounted"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    mount = f"mount -t tmpfs -o {options} tmpfs {place} && PATH={here}/bin exec "
    unshare = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")

    def run_mounted(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*unshare, mount + command], capture_output=True, text=True, check=False)

    if shutil.which("unshare") is None or run_mounted("/bin/sh -c :").returncode:
        pytest.skip("nothing can be mounted here")
    command = shlex.join([sys.executable, "-m", "graphbptt", "explain", ADDITION])
    asked = run_mounted(f"{command.replace('explain', 'check')} backend=native")
    assert asked.returncode == 2
    assert asked.stderr.startswith(f"backend 'native' cannot run here: {what.format(place)}")
    auto = run_mounted(command)
    assert auto.returncode == 0
    assert "parameters, backend numpy\n" in auto.stdout
    (line,) = auto.stderr.splitlines()
    assert line.startswith(f"graphbptt runs on numpy, not on the faster native: {what.format(place)}")


def test_folder_that_is_not_trusted_is_told_once(here: Path) -> None:
    offer_compiler(here)
    (here / "cache").mkdir()
    (here / "cache").chmod(0o777)
    done = graphbptt("explain", ADDITION)
    assert done.returncode == 0
    assert "backend native" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "graphbptt compiles anew in every process; nothing is kept between runs: others can"
    )


def test_nobody_knows_where_home_is(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without $HOME the system's list of users is asked, which need not know."""
    offer_compiler(here)
    for name in ("GRAPHBPTT_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    unknown = "import os, pwd\ndef fail(uid): raise KeyError(uid)\npwd.getpwuid = fail\n"
    with (here / "hidden" / "sitecustomize.py").open("a") as file:
        file.write(unknown)
    done = graphbptt("explain", ADDITION)
    assert done.returncode == 0
    assert "backend native" in done.stdout
    (line,) = done.stderr.splitlines()
    assert "Could not determine home directory" in line
