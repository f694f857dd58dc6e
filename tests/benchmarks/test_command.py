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


@pytest.mark.usefixtures("quick")
def test_nothing_measured_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "jax.py").write_text("raise ModuleNotFoundError(\"No module named 'jax'\")\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    assert command.main(["--workloads", "tiny,step", "--contenders", "jax"]) == 1
    said = capsys.readouterr().out
    assert said.count("No jax: No module named 'jax'.") == 2
    assert said.count('pip install ".[peers]"') == 1
    assert "| contender |" not in said
    assert "Largest difference" not in said


@pytest.mark.usefixtures("quick")
def test_a_contender_alone_differs_from_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--rounds", "1", "--seconds", "0"]
    assert command.main(["--workloads", "step", "--contenders", "numpy", *short]) == 0
    said = capsys.readouterr().out
    assert "| numpy |" in said
    assert "Largest difference" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--contenders", "cupy"], "cupy needs --device gpu; "),
        (["--workloads", "lstm_long,tiny"], "lstm_long needs --device gpu; "),
        (["--device", "gpu", "--contenders", "numpy,cupy"], "numpy needs --device cpu; "),
        (["--contenders", "cupy,nunpy"], "unknown: nunpy; cupy needs --device gpu; known: native, "),
    ],
)
def test_what_is_of_another_device_is_said_so(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_help_says_where_the_results_go(capsys: pytest.CaptureFixture[str]) -> None:
    """As README and tests use it: only what is measured whole has a file without being told."""
    with pytest.raises(SystemExit):
        command.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "python -m benchmarks --workloads rnn,tiny some of them, which are printed" in said
    assert "--json FILE a file for the results in place of the above, with the tables beside it" in said
    assert "with --device gpu, of: cupy, cupy_plain" in said


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
