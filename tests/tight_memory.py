"""A pytest plugin (``-p tight_memory``): what a workspace allocates ends where the allocation ends.

Workspaces put arrays on cache lines of a larger allocation, in whose rest a sanitizer sees no overflow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphbptt_numpy.workspace import Workspace


def allocate(self: Workspace, *shape: int) -> np.ndarray[Any, Any]:
    array = np.zeros(shape, self.dtype)
    self.bytes += array.nbytes
    return array


Workspace.allocate = allocate  # type: ignore[method-assign]
