"""Tests that do not name a backend take numpy, which has nothing to compile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from graphbptt import backend


@pytest.fixture(autouse=True, scope="session")
def _auto_is_numpy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "AUTO_ORDER", ("numpy",))
        yield
