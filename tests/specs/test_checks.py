"""Every shipped spec passes `graphbptt check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphbptt.cli import run

ALL = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_the_derivatives_of_every_spec_are_right(path: Path) -> None:
    assert run(["check", str(path), "--examples", "2"]) == 0
