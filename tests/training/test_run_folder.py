"""Files are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graphbptt.training.run_folder import RunFolder, write_atomically


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
