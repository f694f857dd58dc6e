"""What a shape of batches takes of memory, the device's and the host's, and what would fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from graphbptt.codegen.launches.device_arrays import ArrayKind, DeviceArray
from graphbptt.codegen.launches.launch_plan import LaunchPlan, LaunchShape
from graphbptt.errors import DataError, Problem

__all__ = ["explain_host_memory", "explain_memory", "find_fitting"]

BY_BATCH: tuple[ArrayKind, ...] = ("field", "initial", "buffer", "scratch")
"""Arrays whose size grows with a batch; all others are as large for every one. An arena is what its arrays are."""


def find_fitting(arrays: Iterable[DeviceArray], free: int) -> float:
    """What part of a batch's steps or examples fits into so many bytes; 0 if the weights alone do not.

    >>> weights, states = DeviceArray("W0", "weight", (4,), "float32"), DeviceArray("s", "buffer", (8,), "float32")
    >>> find_fitting([weights, states], 32)
    0.5
    """
    growing, fixed = 0, 0
    for array in arrays:
        if array.kind in BY_BATCH:
            growing += array.bytes
        elif array.kind != "arena":
            fixed += array.bytes
    return min(1.0, max(0, free - fixed) / max(1, growing))


def explain_memory(plan: LaunchPlan, held: Collection[str], free: int) -> DataError:
    """Why a batch of this shape cannot be run, and what can; the arrays that are `held` have their memory already,
    which is not free any more."""
    wanted = [array for array in plan.arrays if array.name not in held]
    shape, part = plan.shape, find_fitting(wanted, free)
    taken = sum(array.bytes for array in wanted if array.within is None)
    needed = f"on the GPU they take {taken:,} bytes, of which {free:,} are free"
    size, steps = int(part * shape.size), int(part * shape.steps)
    remedies = [f"take batches of {size}"] if size else []
    remedies += [f"cut sequences into windows of {steps} steps"] if steps else []
    remedy = ", or ".join(remedies) or "declare fewer units, or sparse weights"
    return DataError(Problem(_name_batch(shape), needed, remedy))


def explain_host_memory(shape: LaunchShape) -> DataError:
    """The same where it is the host that has no memory left."""
    what = "what goes to the GPU and comes back lies in memory of the host that is never swapped out, and none is left"
    remedy = "take smaller batches, cut sequences into windows of fewer steps, or end other programs"
    return DataError(Problem(_name_batch(shape), what, remedy))


def _name_batch(shape: LaunchShape) -> str:
    return f"batch of {shape.size} sequences of {shape.steps} steps"
