"""Arrays of the right shape -> contiguous ones in the executors' order and type, what is wrong reported.

The second half of `bind_batch`, one field at a time. Axes are (time, batch, unit); an axis of one stands for
all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.passes.read_fields import FieldReader

__all__ = ["AXES", "START_AXES", "both", "lay_out", "report_infinite", "report_wrong", "spread", "time_major"]

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

AXES = ("step", "example", "unit")
START_AXES = ("history row", "example", "unit")


def time_major(array: Array) -> Array:
    """(batch, time, unit) -> (time, batch, unit); a static array gets a time axis of one."""
    return array[None] if array.ndim == 2 else np.swapaxes(array, 0, 1)


def both(first: Mask | None, second: Mask | None) -> Mask | None:
    """Where both hold; None stands for everywhere."""
    if first is None or second is None:
        return first if second is None else second
    return first & second


def lay_out(array: Array, used: Mask | None, dtype: np.dtype[Any]) -> Array:
    """A contiguous copy of the type asked for, zero where it is not used."""
    shape = array.shape if used is None else np.broadcast_shapes(array.shape, used.shape)
    laid = np.empty(shape, dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is reported by name
        np.copyto(laid, array, casting="unsafe")
    if used is not None and not used.all():
        np.copyto(laid, 0, where=~used)
    return laid


def spread(array: Array, shape: tuple[int, ...]) -> Array:
    """The array, repeated along axes of one as a read-only view where its shape is another one."""
    return array if array.shape == shape else np.broadcast_to(array, shape)


def report_infinite(reader: FieldReader, path: str, laid: Array, axes: tuple[str, ...]) -> None:
    """Report NaN and infinity."""
    # The sum is finite where every value is, and takes no memory; where it overflows, the values decide.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(np.add.reduce(laid, axis=None))
    if suspicious:
        instead = f"give finite numbers of type {laid.dtype}, or a mask that is zero where one is missing"
        report_wrong(reader, path, laid, ~np.isfinite(laid), axes, instead)


def report_wrong(
    reader: FieldReader, path: str, laid: Array, wrong: Mask, axes: tuple[str, ...], instead: str
) -> None:
    """Report the first place where something is `wrong`, and how many more there are."""
    count = np.count_nonzero(wrong)
    if not count:
        return
    index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    first_step = 1 if axes is AXES else 0
    place = [f"{axes[0]} {index[0] + first_step}"] if wrong.shape[0] > 1 else []
    place = [f"{axes[1]} {index[1]}", *place, *(f"{axes[2]} {unit}" for unit in index[2:])]
    more = f" and at {count - 1} more places" if count > 1 else ""
    value = np.broadcast_to(laid, wrong.shape)[index]
    reader.report(path, f"{value} at {', '.join(place)}{more}", instead)
