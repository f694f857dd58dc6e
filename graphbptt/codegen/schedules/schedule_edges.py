"""What stands at the edges of the sweeps, as launches: parameters are packed and states set before them, the loss is
measured between them, and derivatives by copies of parameters are added up behind them.

The host gives parameters, fields and what is wanted, and takes states, the terms of the loss and the derivative by the
free parameters.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphbptt.codegen.kernels.copy_maps import LinearMap
from graphbptt.codegen.kernels.write_kernels import Kernels
from graphbptt.codegen.launches.assemble_launches import Part
from graphbptt.codegen.launches.commands import Clear, Command, CopyIn, CopyOut
from graphbptt.codegen.launches.device_arrays import DeviceArray, Region
from graphbptt.codegen.launches.launch_plan import Section
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.schedules.edge_launches import (
    apply_map,
    gather_starts,
    measure_loss,
    place_gathered,
    place_map,
    start_states,
)
from graphbptt.codegen.schedules.fixed_launches import fill_around, fill_padding, gather_entries
from graphbptt.codegen.schedules.place_arrays import COPIES, COUNTS, DERIVATIVES, LOSSES, Places
from graphbptt.ir.plan import Plan

__all__ = ["schedule_edges"]

TARGETS = ("wanted", "weights", "divisors", COUNTS)
"""Fields that are read where there is a loss."""


def schedule_edges(
    plan: Plan, kernels: Kernels, precision: Precision, places: Places, sweeps: Part
) -> Iterator[Part]:
    """All but the `sweeps` themselves."""
    uploads = (
        Section("load", (CopyIn(places.whole("parameters")),)),
        Section("carry", tuple(map(CopyIn, _list_starts(places, clamped=False)))),
        Section("upload", tuple(_upload(plan, places))),
        Section("targets", tuple(CopyIn(array.whole()) for array in _list_fields(places, targets=True))),
    )
    yield Part(sections=uploads)
    yield _schedule_packing(kernels, precision, places)
    yield Part(sections=(Section("prepare", tuple(_prepare(plan, places))),))
    yield Part(sections=(Section("states", tuple(_fetch_states(plan, places))),))
    measures = (
        measure_loss(places, kernel, site) for kernel, site in zip(kernels.losses, plan.losses, strict=True)
    )
    yield Part(sections=(Section("measure", (*map(Clear, places.cleared()), *measures)),))
    yield _schedule_combining(plan, kernels, precision, places, sweeps)
    downloads = (
        Section("report", tuple(CopyOut(places.whole(LOSSES)) for _ in plan.losses[:1])),
        Section("download", (CopyOut(places.whole("gradient")),)),
    )
    yield Part(sections=downloads)


def _list_fields(places: Places, targets: bool) -> list[DeviceArray]:
    """What a batch brings, or what is wanted of it."""
    return [
        array
        for array in places.arrays.values()
        if array.kind == "field" and (array.name.split(":")[0] in TARGETS) == targets
    ]


def _list_starts(places: Places, clamped: bool) -> list[Region]:
    """What populations are given to start from: by clamps, or where a batch goes on from earlier steps alone."""
    return [
        places.whole(f"starts:{population.name}")
        for population in places.plan.network.populations
        if (f"started:{population.name}" in places.arrays) == clamped
    ]


def _upload(plan: Plan, places: Places) -> Iterator[Command]:
    """Where clamps give what sequences start from, what sets states and noise, and states that are given."""
    starts = [*_list_starts(places, clamped=True), *_list_starts(places, clamped=False)]
    fields = [array.whole() for array in _list_fields(places, targets=False)]
    yield from map(CopyIn, _list_starts(places, clamped=True))
    yield from (CopyIn(field) for field in fields if field not in starts)
    for stage in plan.stages:
        for name in stage.populations if stage.mode == "given" else ():
            yield CopyIn(places.steps(plan.placement[name].state))


def _schedule_packing(kernels: Kernels, precision: Precision, places: Places) -> Part:
    parameters = places.whole("parameters")
    arrays = place_map("packing", kernels.copies.packing, precision)
    packing = apply_map(arrays, parameters, [parameters], places.whole(COPIES))
    return Part(tuple(arrays), (Section("prepare", (packing,)),))


def _prepare(plan: Plan, places: Places) -> Iterator[Command]:
    """Weights in their other order, and the rows around the steps; padded states are held at those, too."""
    for block in plan.blocks:
        parts = ("order", "values", "column_values")
        yield gather_entries(*(places.entries(block.name, part) for part in parts))
    for population in plan.network.populations:
        if not _reads_starts(places, population.name):
            continue
        yield start_states(places, population.name)
        yield from fill_around(places, population.name)
        holds = f"holds:{population.name}"
        if places.shape.ragged and holds in places.arrays:
            initial, rows = (
                places.whole(f"initial:{population.name}"),
                _flatten(places.whole(holds), population.units),
            )
            yield fill_padding(places, population.name, rows, initial, first=0)


def _flatten(region: Region, width: int) -> Region:
    """An array as rows of so many numbers."""
    return Region(region.array, region.offset, region.size // width if width else 0, width, width)


def _reads_starts(places: Places, population: str) -> bool:
    """Whether anything that is computed reads what a population starts from."""
    buffer = places.plan.buffer[places.plan.placement[population].state.buffer]
    return places.shape.ragged or buffer.before + buffer.after > 0


def _fetch_states(plan: Plan, places: Places) -> Iterator[Command]:
    """All states, with the rows that they start from, from which the history of a step may come."""
    for placement in plan.placements:
        if not _reads_starts(places, placement.population):
            yield start_states(places, placement.population)
        yield CopyOut(places.whole(f"initial:{placement.population}"))
        yield CopyOut(places.before(placement.state))
        yield CopyOut(places.steps(placement.state))


def _schedule_combining(
    plan: Plan, kernels: Kernels, precision: Precision, places: Places, sweeps: Part
) -> Part:
    """The derivatives of copies, some of which nothing may have computed: these are zero."""
    gathered = [command for site in plan.initials for command in gather_starts(places, site)]
    commands = [command for section in sweeps.sections for command in section.commands]
    written = [
        region for item in (*commands, *gathered) for region in item.writes if region.array == DERIVATIVES
    ]
    first, *others = kernels.copies.combining
    cleared: list[Command] = []
    if not _find_written(written, kernels.copies.size)[first.sources].all():
        written = [places.whole(DERIVATIVES)]
        cleared = [Clear(written[0])]
    arrays = [place_gathered(places, plan.initials, precision)]
    numbers, reads, launches = places.whole(DERIVATIVES), written, list[Command]()
    for number, table in enumerate((first, *others)):
        last = number == len(others)
        arrays += (parts := place_map(f"combining{number}", table, precision))
        out = places.whole("gradient") if last else _claim(arrays, f"sums{number}", table, precision)
        divisors = places.whole("divisors") if last and "divisors" in places.arrays else None
        launches.append(apply_map(parts, numbers, reads, out, divisors))
        numbers, reads = out, [out]
    sections = (Section("measure", tuple(cleared)), Section("combine", (*gathered, *launches)))
    return Part(tuple(arrays), sections)


def _claim(arrays: list[DeviceArray], name: str, table: LinearMap, precision: Precision) -> Region:
    arrays.append(DeviceArray(name, "scratch", (table.rows,), precision.name))
    return arrays[-1].whole()


def _find_written(regions: list[Region], size: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which numbers of an array are in one of these regions of it."""
    written = np.zeros(size, bool)
    for region in regions:
        for row in range(region.rows if not region.contiguous else 1):
            begin = region.offset + row * region.stride
            written[begin : begin + (region.size if region.contiguous else region.columns)] = True
    return written
