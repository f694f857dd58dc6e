"""A pytest plugin (``-p watched``): what lets sanitizers see more, and spares them what they see nothing of.

Workspaces put arrays on cache lines of a larger allocation, in whose rest no overflow is seen: here an array ends where
its allocation ends. Generated code is compiled at -O1, which takes a fraction of the time and leaves more of its memory
accesses to be watched. Executors without generated code are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from graphbptt_native import flags
from graphbptt_numpy.workspace import Workspace

UNWATCHED = ("numpy", "reference")


def allocate(self: Workspace, *shape: int, dtype: npt.DTypeLike | None = None) -> np.ndarray[Any, Any]:
    array = np.zeros(shape, self.dtype if dtype is None else dtype)
    self.bytes += array.nbytes
    return array


def pytest_configure() -> None:
    """As a plugin alone: to import this module, as a search for doctests does, changes nothing."""
    watch()


def watch() -> None:
    """Change what is allocated, and compiled, in this process."""
    Workspace.allocate = allocate  # type: ignore[method-assign]
    flags.COMMON = tuple("-O1" if flag == "-O3" else flag for flag in flags.COMMON)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if not _names_unwatched(item)]


def _names_unwatched(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and any(
        value in UNWATCHED for value in call.params.values() if isinstance(value, str)
    )
