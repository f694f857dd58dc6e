"""What a shape of batches takes of a device's memory, and what would fit."""

from __future__ import annotations

from collections.abc import Iterable

from graphbptt.codegen.launches.device_arrays import ArrayKind, DeviceArray
from graphbptt.codegen.launches.launch_plan import LaunchPlan
from graphbptt.errors import DataError, Problem

__all__ = ["explain_memory", "find_fitting"]

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


def explain_memory(plan: LaunchPlan, free: int) -> DataError:
    """Why a batch of this shape cannot be run, and what can."""
    shape, part = plan.shape, find_fitting(plan.arrays, free)
    needed = f"on the GPU they take {plan.bytes:,} bytes, of which {free:,} are free"
    size, steps = int(part * shape.size), int(part * shape.steps)
    remedies = [f"take batches of {size}"] if size else []
    remedies += [f"cut sequences into windows of {steps} steps"] if steps else []
    remedy = ", or ".join(remedies) or "declare fewer units, or sparse weights"
    return DataError(Problem(f"batch of {shape.size} sequences of {shape.steps} steps", needed, remedy))
