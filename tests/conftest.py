"""Profiles of hypothesis, and golden files.

The profile `quick` is the default; `gate`, which ``make check`` takes, tries ten times as much, `nightly` a hundred
times; choose one with ``pytest --hypothesis-profile=nightly`` or ``HYPOTHESIS_PROFILE=nightly``.

A golden file holds the text form of an intermediate representation; ``pytest --renew-goldens`` writes them anew,
and the difference is reviewed like code.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

GOLDENS = Path(__file__).parent / "goldens"

# Networks take long to draw and to shrink on a busy machine; that says nothing about them.
UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "gate", max_examples=200, deadline=None, derandomize=True, suppress_health_check=UNHURRIED
)
settings.register_profile(
    "quick", max_examples=20, deadline=None, derandomize=True, suppress_health_check=UNHURRIED
)
settings.register_profile(
    "nightly", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=UNHURRIED
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-goldens", action="store_true", help="write the golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden(name, text)`` compares a text with the golden file of that name."""

    def compare(name: str, text: str) -> None:
        path = GOLDENS / f"{name}.txt"
        if request.config.getoption("--renew-goldens"):
            path.write_text(text + "\n", encoding="utf-8")
        assert path.exists(), f"no golden file {path.name}; write it with pytest --renew-goldens"
        assert text + "\n" == path.read_text(encoding="utf-8")

    return compare
