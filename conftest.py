"""Tests that do not name a backend take numpy, which has nothing to compile; parallel ones share the cores."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # A worker for every core, each with a thread for every core, would wait for each other. NumPy's libraries read
    # this when they are loaded. OMP_NUM_THREADS stays as it is: the native backend reads it too.
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ.setdefault(variable, "1")

from graphbptt import backend


@pytest.fixture(autouse=True, scope="session")
def _auto_is_numpy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "AUTO_ORDER", ("numpy",))
        yield
