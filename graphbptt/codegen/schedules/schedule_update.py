"""The update of an optimizer as launches, behind the derivatives that it is made from.

Parameters and what the rule keeps of all updates are the same memory for batches of every shape.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphbptt.codegen.kernels.update_kernels import REPORT, UpdateKernels
from graphbptt.codegen.launches.assemble_launches import Part
from graphbptt.codegen.launches.launch_plan import (
    Address,
    ArrayKind,
    Command,
    CopyOut,
    DeviceArray,
    Region,
    Section,
    launch,
)
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.schedules.edge_launches import launch_sum
from graphbptt.codegen.schedules.place_arrays import LOSSES, Places

__all__ = ["schedule_update"]


def schedule_update(kernels: UpdateKernels, precision: Precision, places: Places) -> Part:
    """Penalties are added, the gradient is measured, and the parameters are updated."""
    free = places.plan.layout.free

    def place(name: str, kind: ArrayKind, size: int, dtype: str) -> DeviceArray:
        return DeviceArray(name, kind, (size,), dtype, np.zeros(size, dtype) if kind == "kept" else None)

    moments = [place(f"moment:{name}", "kept", free, precision.name) for name in kernels.moments]
    progress = place("progress", "kept", kernels.progress, "float64")
    previous = place("previous", "kept", free, precision.name)
    report = place("report", "loss", REPORT, "float64")
    penalties = place("penalties", "loss", len(kernels.penalized), "float64")
    arrays = (*moments, progress, previous, report, penalties)
    update = (
        *_add_penalties(kernels, places, penalties),
        _measure_gradient(places, progress, report),
        _update_parameters(places, previous, progress, report, moments),
    )
    outcome = tuple(CopyOut(array.whole()) for array in (report, penalties))
    fetched = (CopyOut(places.whole("parameters")), CopyOut(previous.whole()))
    return Part(
        arrays, (Section("update", update), Section("outcome", outcome), Section("parameters", fetched))
    )


def _add_penalties(kernels: UpdateKernels, places: Places, penalties: DeviceArray) -> Iterator[Command]:
    for number, group in enumerate(kernels.penalized):
        slot = places.plan.layout.slot[group]
        size = slot.stop - slot.offset
        numbers, slopes = (Region(name, slot.offset, 1, size, size) for name in ("parameters", "gradient"))
        penalty = Region(penalties.name, number, 1, 1, 1)
        arguments = (numbers.address, slopes.address, penalty.address)
        yield launch_sum(f"penalize_{number}", size, arguments, (numbers, slopes), (slopes, penalty))


def _measure_gradient(places: Places, progress: DeviceArray, report: DeviceArray) -> Command:
    gradient, losses = places.whole("gradient"), places.arrays[LOSSES]
    arguments = (
        gradient.address, Address(LOSSES), losses.size, Address(progress.name), Address(report.name),
    )  # fmt: skip
    reads, writes = (gradient, losses.whole(), progress.whole()), (progress.whole(), report.whole())
    return launch_sum("measure_gradient", gradient.size, arguments, reads, writes)


def _update_parameters(
    places: Places,
    previous: DeviceArray,
    progress: DeviceArray,
    report: DeviceArray,
    moments: list[DeviceArray],
) -> Command:
    gradient = places.whole("gradient")
    free = Region("parameters", 0, 1, gradient.size, gradient.size)
    kept = [moment.whole() for moment in moments]
    arguments = (
        gradient.address, free.address, Address(previous.name), Address(progress.name), Address(report.name),
        *(region.address for region in kept),
    )  # fmt: skip
    return launch(
        "update_parameters",
        gradient.size,
        arguments,
        reads=(gradient, free, previous.whole(), progress.whole(), report.whole(), *kept),
        writes=(free, previous.whole(), report.whole(), *kept),
    )
