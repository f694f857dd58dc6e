"""The native backend as the compiler's front sees it: whether it can run, and what it says where it cannot."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from compiled import toolchain

import graphbptt
from graphbptt.errors import BackendError, CompilerError
from graphbptt_native import NativeBackend, NativeExecutable
from graphbptt_native.discover import Toolchain


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


def test_compiler_that_fails_later_is_exit_code_1(backend: NativeBackend) -> None:
    backend.toolchain = Toolchain(("/bin/false",), "1", ())
    with pytest.raises(CompilerError, match="to repeat: /bin/false") as caught:
        backend.build(model().plan, np.dtype(np.float32))
    assert caught.value.exit_code == 1


def test_says_where_nothing_is_kept(
    backend: NativeBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAPHBPTT_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert backend.cache.folder is None
    (record,) = caplog.records
    assert record.getMessage().startswith("graphbptt compiles anew in every process; nothing is kept between")
