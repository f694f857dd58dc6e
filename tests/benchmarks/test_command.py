"""``python -m benchmarks``: what it says, and its exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.sources import SourceTiming


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is compiled, nor asked of the machine."""
    monkeypatch.setattr(command, "time_compilation", lambda: [0.5])
    monkeypatch.setattr(command, "describe_machine", lambda device: {"cores": "2"} if device == "cpu" else {})


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("seconds", "code", "said"),
    [
        (
            (0.1, 0.5, 0.5, 0.001),
            0,
            "to write: none; more than 2 s to compile: none; more than 10 ms to load: none.",
        ),
        (
            (1.5, 0.5, 0.5, 0.001),
            1,
            "to write: a; more than 2 s to compile: none; more than 10 ms to load: none.",
        ),
        (
            (0.1, 2.5, 2.5, 0.001),
            1,
            "to write: none; more than 2 s to compile: a; more than 10 ms to load: none.",
        ),
        (
            (0.1, 0.5, 0.5, 0.020),
            1,
            "to write: none; more than 2 s to compile: none; more than 10 ms to load: a.",
        ),
    ],
)
def test_slow_sources_are_an_exit_code(
    seconds: tuple[float, float, float, float],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    timing = SourceTiming("a", 9, *seconds)
    monkeypatch.setattr(command, "time_sources", lambda: [timing])
    assert command.main(["--workloads", "compile"]) == code
    assert said in capsys.readouterr().out


@pytest.mark.usefixtures("quick")
def test_no_compiler_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "time_sources", list)
    assert command.main(["--workloads", "compile"]) == 0
    assert "No C compiler works here: no generated C was timed." in capsys.readouterr().out


@pytest.mark.usefixtures("quick")
def test_how_to_get_the_peers_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside the first contenders whose library is not there; the processes are those of the benchmarks."""
    for library in ("torch", "jax"):
        (tmp_path / f"{library}.py").write_text(
            f"raise ModuleNotFoundError(\"No module named '{library}'\")\n"
        )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    short = ["--rounds", "1", "--seconds", "0", "--json", str(tmp_path / "results.json")]
    assert command.main(["--workloads", "tiny,step", "--contenders", "numpy,torch_loop,jax", *short]) == 0
    printed, written = capsys.readouterr().out, (tmp_path / "results.md").read_text()
    for said in (printed, written):
        assert said.count('pip install ".[peers]"') == 1
        assert said.index("No jax: No module named 'jax'.") < said.index('pip install ".[peers]"')
        assert said.count("No torch_loop: No module named 'torch'.") == 2


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--rounds", "0"),
        ("--rounds", "-1"),
        ("--rounds", "1.5"),
        ("--seconds", "-1"),
        ("--seconds", "nan"),
        ("--patience", "0"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--workloads", "compile", option, value])
    assert ended.value.code == 2
    assert f"argument {option}: {value} is no " in capsys.readouterr().err
