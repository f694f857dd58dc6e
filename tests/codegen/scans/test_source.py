"""The text of generated C: nothing is declared in vain, and nothing counted that there is one of."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from compiled import toolchain

import graphbptt
from graphbptt.codegen.precision import FLOAT32
from graphbptt.codegen.products.vectors import VectorUnit
from graphbptt.codegen.scans.source import write_source

SPECS = Path(__file__).parents[3] / "specs"


def write(spec: str, unit: VectorUnit) -> str:
    plan = graphbptt.load(SPECS / f"{spec}.yaml").compile(backend="numpy").plan
    return write_source(plan, FLOAT32, unit).text


@pytest.mark.parametrize("spec", ["karate", "bidirectional", "clockwork", "sunspots"])
def test_no_variable_is_unused(spec: str, tmp_path: Path) -> None:
    found = toolchain()
    (tmp_path / "source.c").write_text(write(spec, found.vectors))
    words = [word for word in found.flags if word != "-shared"]
    command = [*found.command, *words, "-Wall", "-Werror=unused-variable", "-fsyntax-only", "source.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_one_unit_does_is_no_loop() -> None:
    """In a network of single units every statement stands for itself, without terms and factors that do nothing."""
    text = write("karate", VectorUnit(64, 32))
    assert "j < 1; j++" not in text
    assert " * 1 " not in text
    assert "[0 + " not in text
