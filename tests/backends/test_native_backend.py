"""The native backend as the compiler's front sees it: whether it can run, and what it says where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from compiled import toolchain

import graphbptt
from graphbptt.backend import log_once
from graphbptt.errors import BackendError, CompilerError
from graphbptt_native import NativeBackend, NativeExecutable
from graphbptt_native.discover import Toolchain

Said = Callable[[], list[str]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    """What is logged in a process that has logged nothing."""
    log_once.cache_clear()
    return lambda: [record.getMessage() for record in caplog.records]


def build_twice(backend: NativeBackend) -> None:
    plan = model().plan
    for _ in range(2):
        backend.build(plan, np.dtype(np.float32))


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NativeBackend:
    """A backend that has not looked for a compiler, with a cache of its own."""
    monkeypatch.setenv("GRAPHBPTT_CACHE", str(tmp_path / "cache"))
    return NativeBackend()


def model() -> graphbptt.Model:
    graph: nx.MultiDiGraph = nx.MultiDiGraph()
    graph.add_node("h", units=3, activation="tanh")
    graph.add_edge("h", "h")
    return graphbptt.compile(graph, backend="numpy", dtype="float64")


def test_compiles_once_and_agrees_with_numpy(backend: NativeBackend, tmp_path: Path) -> None:
    toolchain()
    assert backend.missing() is None
    network = model()
    batch = network.bind({}, steps=5)
    kept: set[str] = set()
    for _ in range(2):
        executable = backend.build(network.plan, np.dtype(np.float64))
        assert isinstance(executable, NativeExecutable)
        np.testing.assert_allclose(
            executable.run(network.vector, batch)["h"][:, 0], network.run({}, steps=5)["h"][0]
        )
        entries = {path.name for path in (tmp_path / "cache").iterdir()}
        assert entries == (kept or entries)
        kept = entries
    assert len(kept) == 2  # what was found of the compiler, and the object


def test_says_what_is_missing(
    backend: NativeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("graphbptt_native.discover.importlib.util.find_spec", lambda name: None)
    reason = backend.missing()
    assert reason is not None
    assert reason.startswith("there is no C compiler; install one")
    with pytest.raises(BackendError, match="there is no C compiler"):
        backend.build(model().plan, np.dtype(np.float64))


def test_other_systems_are_refused_before_anything_is_asked_of_them(
    backend: NativeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphbptt_native.discover.POSIX", False)
    monkeypatch.delattr("os.getuid")
    reason = backend.missing()
    assert reason is not None
    assert reason.startswith("generated C is compiled on POSIX systems only, not on ")


def test_compiler_that_fails_later_is_exit_code_1(
    backend: NativeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NativeBackend, "toolchain", Toolchain(("/bin/false",), "1", ()))
    with pytest.raises(CompilerError, match="to repeat: /bin/false") as caught:
        backend.build(model().plan, np.dtype(np.float32))
    assert caught.value.exit_code == 1


def test_says_where_nothing_is_kept(
    backend: NativeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAPHBPTT_CACHE", str(tmp_path / "file"))
    build_twice(backend)
    (line,) = said()
    assert line.startswith("graphbptt compiles anew in every process; nothing is kept between")


def test_says_that_cc_is_not_taken(
    backend: NativeBackend, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    """Where something is compiled; not where it is only asked whether that can be done."""
    monkeypatch.setenv("CC", "a_compiler_that_is_not_there")
    taken = backend.toolchain.command
    assert backend.missing() is None
    assert said() == []
    build_twice(backend)
    note = "$CC is 'a_compiler_that_is_not_there', which is no program on the path"
    assert said() == [f"graphbptt compiles with {' '.join(taken)}; {note}"]


def test_looks_again_where_the_environment_has_changed(
    backend: NativeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    toolchain()
    first, folder = backend.toolchain.command, backend.cache.folder
    other = tmp_path / "other"
    other.write_text(f'#!/bin/sh\nexec {first[0]} "$@"\n')
    other.chmod(0o755)
    monkeypatch.setenv("CC", str(other))
    assert backend.toolchain.command == (str(other),)
    monkeypatch.setenv("GRAPHBPTT_CACHE", str(tmp_path / "other cache"))
    assert backend.cache.folder not in (folder, None)
    monkeypatch.delenv("CC")
    assert backend.toolchain.command == first
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("graphbptt_native.discover.importlib.util.find_spec", lambda name: None)
    assert backend.missing() is not None
