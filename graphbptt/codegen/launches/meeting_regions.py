"""Which numbers of an array are in a region of it, and whether two regions have some in common."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.launches.device_arrays import Region

__all__ = ["have_common", "select"]


def select(numbers: npt.NDArray[np.bool_], region: Region) -> npt.NDArray[np.bool_]:
    """A region of flat memory as a view."""
    step = numbers.itemsize
    return np.lib.stride_tricks.as_strided(
        numbers[region.offset :], (region.rows, region.columns), (region.stride * step, step)
    )


def have_common(one: Region, other: Region, size: int) -> bool:
    """Whether two regions have a number in common; their array, if it is one, has so many.

    >>> left, right = Region("state0", 0, 2, 3, 5), Region("state0", 3, 2, 2, 5)
    >>> have_common(left, right, 10), have_common(left, right.move(-1), 10)
    (False, True)
    """
    if one.array != other.array or one.stop <= other.offset or other.stop <= one.offset:
        return False
    numbers = np.zeros(size, bool)
    select(numbers, one)[...] = True
    return bool(select(numbers, other).any())
