"""The command line where no GPU can be used: it says what is missing, or goes on without a word."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from graphbptt import backend
from graphbptt.backend import AUTO_ORDER, GROUP
from graphbptt.cli import run
from graphbptt_cupy import presence

ADDITION = str(Path(__file__).parents[2] / "specs" / "binary_addition.yaml")
QUICK = ("data.examples=64", "--examples", "1")


@pytest.fixture(autouse=True)
def _without_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And without CuPy, though the backend is offered."""
    values = {"cupy": "graphbptt_cupy:backend", "numpy": "graphbptt_numpy:backend"}
    entries = {name: metadata.EntryPoint(name, value, GROUP) for name, value in values.items()}
    monkeypatch.setattr(backend, "list_backends", lambda: entries)
    monkeypatch.setattr(backend, "AUTO_ORDER", AUTO_ORDER)
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(presence, "DRIVER", tmp_path / "version")
    backend.log_once.cache_clear()


MISSING = "cannot run here: CuPy is not installed; pip install 'graphbptt[cuda13]', or cuda12 for a driver that knows"


def test_asked_for_by_name_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", ADDITION, "backend=cupy", *QUICK]) == 2
    assert capsys.readouterr().err.startswith(f"backend 'cupy' {MISSING}")


def test_auto_goes_on_without_a_word(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert run(["check", ADDITION, *QUICK]) == 0
    assert not capsys.readouterr().err
    assert not caplog.records


def test_auto_says_so_where_there_is_a_driver(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "version").touch()
    assert run(["check", ADDITION, *QUICK]) == 0
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(
        "graphbptt runs on numpy, not on the faster cupy: CuPy is not installed; pip install"
    )
    assert capsys.readouterr().out


def test_the_list_of_backends_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backends"]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith(f"cupy: {MISSING}")
    assert any(line.startswith("numpy: available (auto)") for line in others)
