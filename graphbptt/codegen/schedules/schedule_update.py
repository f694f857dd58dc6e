"""The update of an optimizer as launches, behind the derivatives that it is made from.

Parameters and what the rule keeps of all updates are the same memory for batches of every shape.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphbptt.codegen.kernels.update_kernels import REPORT, UpdateKernels
from graphbptt.codegen.launches.assemble_launches import Part
from graphbptt.codegen.launches.commands import Command, CopyOut
from graphbptt.codegen.launches.device_arrays import ArrayKind, DeviceArray, Region
from graphbptt.codegen.launches.launch_kernel import launch
from graphbptt.codegen.launches.launch_plan import Section
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.schedules.edge_launches import launch_sum
from graphbptt.codegen.schedules.place_arrays import LOSSES, Places

__all__ = ["PENALTIES", "REPORTED", "schedule_update"]

REPORTED, PENALTIES = "report", "penalties"
"""What becomes of an update, and the penalties on parameters."""


def schedule_update(kernels: UpdateKernels, precision: Precision, places: Places) -> Part:
    """Penalties are added, the gradient is measured, and the parameters are updated."""
    free = places.plan.layout.free

    def place(name: str, kind: ArrayKind, size: int, dtype: str) -> DeviceArray:
        return DeviceArray(name, kind, (size,), dtype, np.zeros(size, dtype) if kind == "kept" else None)

    moments = [place(f"moment:{name}", "kept", free, precision.name) for name in kernels.moments]
    progress = place("progress", "kept", kernels.progress, "float64")
    previous = place("previous", "kept", free, precision.name)
    report = place(REPORTED, "loss", REPORT, "float64")
    penalties = place(PENALTIES, "loss", len(kernels.penalize), "float64")
    arrays = (*moments, progress, previous, report, penalties)
    update = (
        *_add_penalties(kernels, places, penalties),
        _measure_gradient(kernels, places, progress, report),
        _update_parameters(kernels, places, previous, progress, report, moments),
    )
    reported = (CopyOut(report.whole()), CopyOut(penalties.whole()))
    fetched = (CopyOut(places.whole("parameters")), CopyOut(previous.whole()))
    sections = (
        Section("update", update),
        Section("outcome", (CopyOut(places.whole(LOSSES)), *reported)),
        Section("download", reported),
        Section("parameters", fetched),
    )
    return Part(arrays, sections)


def _add_penalties(kernels: UpdateKernels, places: Places, penalties: DeviceArray) -> Iterator[Command]:
    for number, (group, signature) in enumerate(kernels.penalize.items()):
        slot = places.plan.layout.slot[group]
        size = slot.stop - slot.offset
        numbers, slopes = (Region(name, slot.offset, 1, size, size) for name in ("parameters", "gradient"))
        penalty = Region(penalties.name, number, 1, 1, 1)
        yield launch_sum(
            signature,
            size,
            reads=(numbers, slopes),
            writes=(slopes, penalty),
            parameters=numbers,
            gradient=slopes,
            penalty=penalty,
        )


def _measure_gradient(
    kernels: UpdateKernels, places: Places, progress: DeviceArray, report: DeviceArray
) -> Command:
    gradient, losses = places.whole("gradient"), places.whole(LOSSES)
    return launch_sum(
        kernels.measure,
        gradient.size,
        reads=(gradient, losses, progress.whole()),
        writes=(progress.whole(), report.whole()),
        gradient=gradient,
        losses=losses,
        terms=losses.size,
        progress=progress.whole(),
        report=report.whole(),
    )


def _update_parameters(
    kernels: UpdateKernels,
    places: Places,
    previous: DeviceArray,
    progress: DeviceArray,
    report: DeviceArray,
    moments: list[DeviceArray],
) -> Command:
    gradient = places.whole("gradient")
    free = Region("parameters", 0, 1, gradient.size, gradient.size)
    kept = [moment.whole() for moment in moments]
    return launch(
        kernels.update,
        gradient.size,
        reads=(gradient, free, previous.whole(), progress.whole(), report.whole(), *kept),
        writes=(free, previous.whole(), report.whole(), *kept),
        gradient=gradient,
        parameters=free,
        previous=previous.whole(),
        progress=progress.whole(),
        report=report.whole(),
        **dict(zip(kernels.moments, kept, strict=True)),
    )
