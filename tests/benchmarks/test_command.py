"""``python -m benchmarks``: what it says, and its exit code."""

from __future__ import annotations

import pytest

from benchmarks import __main__ as command
from benchmarks.sources import SourceTiming


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is compiled, nor asked of the machine."""
    monkeypatch.setattr(command, "time_compilation", lambda: [0.5])
    monkeypatch.setattr(command, "describe_machine", lambda: {"cores": "2"})


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("compile_s", "load_s", "code", "said"),
    [
        (0.5, 0.001, 0, "to compile: none; more than 10 ms to load: none."),
        (2.5, 0.001, 1, "to compile: a; more than 10 ms to load: none."),
        (0.5, 0.020, 1, "to compile: none; more than 10 ms to load: a."),
    ],
)
def test_slow_sources_are_an_exit_code(
    compile_s: float,
    load_s: float,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    timing = SourceTiming("a", 9, 0.1, compile_s, compile_s, load_s)
    monkeypatch.setattr(command, "time_sources", lambda: [timing])
    assert command.main(["--workloads", "compile"]) == code
    assert said in capsys.readouterr().out


@pytest.mark.usefixtures("quick")
def test_no_compiler_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "time_sources", list)
    assert command.main(["--workloads", "compile"]) == 0
    assert "No C compiler works here: no generated C was timed." in capsys.readouterr().out
