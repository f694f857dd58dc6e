"""What stands at the edges of the sweeps, as launches: parameters are packed and states set before them, the loss is
measured between them, and derivatives by copies of parameters are added up behind them.

The host gives parameters, fields and what is wanted, and takes states, the terms of the loss and the derivative by the
free parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from graphbptt.codegen.kernels.copy_maps import LinearMap
from graphbptt.codegen.kernels.write_kernels import Kernels
from graphbptt.codegen.launches.assemble_launches import Part
from graphbptt.codegen.launches.commands import Clear, Command, CopyIn, CopyOut
from graphbptt.codegen.launches.device_arrays import DeviceArray, Region
from graphbptt.codegen.launches.launch_plan import Section, SectionName
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.schedules.edge_launches import (
    apply_map,
    gather_starts,
    measure_loss,
    place_gathered,
    place_map,
    start_states,
)
from graphbptt.codegen.schedules.fixed_launches import (
    copy_rows,
    fill_around,
    fill_holds,
    flatten,
    gather_entries,
)
from graphbptt.codegen.schedules.place_arrays import (
    COPIES,
    COUNTS,
    DERIVATIVES,
    LOSSES,
    Places,
    find_given,
)
from graphbptt.codegen.schedules.place_starts import INITIAL
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
        Section("carry", (CopyIn(places.whole(INITIAL)),)),
        *(Section(name, tuple(_copy_fields(places, name))) for name in ("upload", "targets")),
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
    measured = tuple(CopyOut(places.whole(LOSSES)) for _ in plan.losses[:1])
    downloads = (
        Section("report", measured),
        Section("download", measured),
    )
    yield Part(sections=downloads)


def _copy_fields(places: Places, section: SectionName) -> Iterator[Command]:
    """What a batch brings."""
    for array in places.arrays.values():
        label = array.name.split(":")[0]
        if array.kind == "field" and (label in TARGETS) is (section == "targets"):
            yield CopyIn(array.whole())


def _schedule_packing(kernels: Kernels, precision: Precision, places: Places) -> Part:
    parameters = places.whole("parameters")
    arrays = place_map("packing", kernels.copies.packing, precision)
    packing = apply_map(arrays, parameters, [parameters], places.whole(COPIES))
    return Part(tuple(arrays), (Section("prepare", (packing,)),))


def _prepare(plan: Plan, places: Places) -> Iterator[Command]:
    """Weights in their other order, states that are given, and the rows around the steps; padded states are held at
    those, too."""
    for block in plan.blocks:
        parts = ("order", "values", "column_values")
        yield gather_entries(*(places.entries(block.name, part) for part in parts))
    for name in find_given(plan):
        out = places.steps(plan.placement[name].state)
        yield copy_rows(flatten(places.whole(f"given:{name}"), out.columns), out)
    if not _reads_starts(places):
        return
    yield start_states(places)
    for buffer in plan.residents:
        yield from fill_around(places, buffer)
    for population in plan.network.populations if places.shape.ragged else ():
        if f"holds:{population.name}" in places.arrays:
            yield fill_holds(places, population.name)


def _reads_starts(places: Places) -> bool:
    """Whether anything that is computed reads what populations start from."""
    buffers = (places.plan.buffer[name] for name in places.plan.residents)
    return places.shape.ragged or any(buffer.before + buffer.after for buffer in buffers)


def _fetch_states(plan: Plan, places: Places) -> Iterator[Command]:
    """All states, with the rows that they start from, from which the history of a step may come."""
    if not _reads_starts(places):
        yield start_states(places)
    yield CopyOut(places.whole(INITIAL))
    for buffer in plan.residents:
        before, steps = places.before(places.columns(buffer)), places.steps(places.columns(buffer))
        rows = replace(steps, offset=before.offset, rows=before.rows + steps.rows)
        yield from map(CopyOut, places.columns_of(buffer, rows))


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
