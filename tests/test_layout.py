"""What holds for the distribution as a whole: what it ships, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = [ROOT / path for path in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]


def test_every_package_is_shipped() -> None:
    backends = [path for path in (ROOT / "backends").iterdir() if (path / "__init__.py").exists()]
    assert sorted(PACKAGES) == sorted([ROOT / "graphbptt", *backends])
    assert not (ROOT / "backends/__init__.py").exists()


def test_every_entry_point_is_shipped() -> None:
    entries = PROJECT["project"]["entry-points"]["graphbptt.backends"].values()
    shipped = {package.name for package in PACKAGES}
    assert {entry.partition(":")[0].partition(".")[0] for entry in entries} <= shipped


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_package_is_typed(package: Path) -> None:
    assert (package / "py.typed").exists()


@pytest.mark.parametrize("module", ["graphbptt", "graphbptt.compiler", "graphbptt.cli"])
def test_importing_loads_no_backend(module: str) -> None:
    code = (
        f"import sys, {module}; print([m for m in ('graphbptt_numpy', 'cupy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
