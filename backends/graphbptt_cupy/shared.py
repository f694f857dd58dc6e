"""The memory of a device that plans for all shapes of batches have in common, and which parameters are there."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

__all__ = ["SharedMemory"]

Array = npt.NDArray[Any]


class SharedMemory:
    """`arrays` are those of the device, by name.

    The parameters among them are remembered by their bytes, which is what compares quickest: where the host has the
    same, they need not go there again.

    >>> import numpy as np
    >>> shared = SharedMemory()
    >>> shared.remember(np.zeros(2))
    >>> shared.holds(np.zeros(2)), shared.holds(np.array([0.0, -0.0]))
    (True, False)
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self._parameters: object = None

    def holds(self, parameters: Array) -> bool:
        """Whether these parameters, to the last bit, are on the device."""
        return self._parameters == parameters.data

    def remember(self, parameters: Array) -> None:
        """These are there from now on."""
        self._parameters = bytearray(parameters.data)

    def forget(self) -> None:
        """Others are, or may be."""
        self._parameters = None
