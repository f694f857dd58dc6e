"""A device as the backend sees it: its array module, how arrays leave it, and what launches kernels on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.dialect import Dialect

__all__ = ["Device", "Launcher"]


class Launcher(Protocol):
    """Compiled kernels."""

    def launch(self, name: str, threads: int, arguments: Sequence[Any]) -> None:
        """Start a kernel of so many threads; arguments are whole numbers and arrays of the device, None for NULL."""


@dataclass(frozen=True, slots=True)
class Device:
    """What runs a plan.

    Attributes
    ----------
    xp : module
        Arrays, as NumPy has them: CuPy, or NumPy itself where kernels run on the host.
    fetch : callable
        From an array of the device to one of NumPy's.
    dialect : Dialect
        The language that `load` takes.
    load : callable
        Compiles the text of kernels.
    """

    xp: Any
    fetch: Callable[[Any], npt.NDArray[Any]]
    dialect: Dialect
    load: Callable[[str], Launcher]

    def put(self, host: npt.NDArray[Any], out: Any) -> None:
        """Copy an array of the host into one of the device, of as many numbers."""
        out[...] = self.xp.asarray(np.ascontiguousarray(host)).reshape(out.shape)
