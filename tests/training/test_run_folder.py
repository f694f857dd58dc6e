"""Files are written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.errors import DataError, SpecError
from graphbptt.training.evaluation import Evaluation
from graphbptt.training.run_folder import RunFolder, read_parameters, write_atomically


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    write_atomically(file, b"before")

    def fail(_descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(file, b"after")
    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file]


def test_every_run_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = [RunFolder.create(tmp_path / "runs", "a").path.name for _ in range(3)]
    assert folders == ["a-1", "a-2", "a-3"]


def test_a_figure_of_nothing_is_null(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a")
    folder.write_figures({"test": Evaluation(math.nan, {"y": {"bits right": math.nan, "other": 1.0}})}, {})
    text = (folder.path / "figures.json").read_text()
    kept = json.loads(text)["network"]["test"]
    assert kept == {"loss": None, "figures": {"y": {"bits right": None, "other": 1.0}}}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a")
    folder.path.rmdir()
    with pytest.raises(SpecError, match=r"a-1/spec.yaml: No such file or directory; choose another place"):
        folder.write_spec("")


def test_runs_are_read_that_kept_what_a_clockwork_cell_computes(tmp_path: Path) -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("h", units=4, cell={"clockwork": {"periods": [1, 2]}})
    model = graphbptt.compile(graph, backend="numpy")
    kept = {name: np.full_like(array, 3) for name, array in model.parameters.items()}
    strikes = np.kron(np.eye(2), np.ones(2))
    np.savez(tmp_path / "parameters.npz", **kept, **{"h.struck->h.due": strikes})
    read_parameters(model, tmp_path)
    assert (model.vector == 3).all()
    np.savez(tmp_path / "parameters.npz", **kept, **{"g.struck->g.due": strikes})
    with pytest.raises(DataError, match=r"no parameter 'g.struck->g.due'"):
        read_parameters(model, tmp_path)
