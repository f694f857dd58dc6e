"""From kernels and a shape of batches to everything that a device does for one of them, in order.

Packing of weights, clamps and losses are the host's: copies of what it computes go up before a sweep, and of what it
goes on from come down behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphbptt.codegen.assemble_launches import Part, assemble
from graphbptt.codegen.fixed_launches import fill_around, gather_entries
from graphbptt.codegen.kernels import Kernels
from graphbptt.codegen.launches import (
    Clear,
    Command,
    CopyIn,
    CopyOut,
    LaunchPlan,
    LaunchShape,
    Section,
)
from graphbptt.codegen.persistent import NO_PERSISTENT, PersistentKernels
from graphbptt.codegen.place_arrays import Places
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.schedule_sweeps import schedule_sweeps
from graphbptt.ir.operations import Contract, Reduce
from graphbptt.ir.plan import Plan

__all__ = ["schedule_launches"]


def schedule_launches(
    plan: Plan,
    kernels: Kernels,
    precision: Precision,
    shape: LaunchShape,
    persistent: PersistentKernels = NO_PERSISTENT,
) -> LaunchPlan:
    """The launch plan of a plan for batches of one shape, for which some scans may have `persistent` kernels."""
    places = Places(plan, precision, shape)
    parts = (
        Part(tuple(places.arrays.values())),
        Part(sections=tuple(_schedule_edges(plan, places))),
        schedule_sweeps(plan, kernels, precision, places, persistent.kernels),
    )
    return assemble(precision, shape, (*kernels.signatures, *persistent.signatures), parts)


def _schedule_edges(plan: Plan, places: Places) -> Iterator[Section]:
    """What the host gives and takes, and what is filled from it."""
    yield Section("upload", tuple(_upload(plan, places)))
    yield Section("prepare", tuple(_prepare(plan, places)))
    yield Section("states", tuple(_fetch_states(plan, places)))
    yield Section("measure", tuple(_put_slopes(plan, places)))
    yield Section("download", tuple(_fetch_derivatives(plan, places)))


def _upload(plan: Plan, places: Places) -> Iterator[Command]:
    """Weights as they are packed, what sequences start from, what sets states and noise, and states that are given."""
    packed = (
        "vector",
        *(matrix.name for matrix in plan.matrices),
        *(f"{block.name}:values" for block in plan.blocks),
    )
    for array in places.arrays.values():
        if array.name in packed or array.kind in ("field", "initial"):
            yield CopyIn(array.whole())
    for stage in plan.stages:
        for name in stage.populations if stage.mode == "given" else ():
            yield CopyIn(places.steps(plan.placement[name].state))


def _prepare(plan: Plan, places: Places) -> Iterator[Command]:
    for block in plan.blocks:
        parts = ("order", "values", "column_values")
        yield gather_entries(*(places.entries(block.name, part) for part in parts))
    for population in plan.network.populations:
        yield from fill_around(places, population.name)


def _fetch_states(plan: Plan, places: Places) -> Iterator[Command]:
    """All states, and the net inputs that losses are computed from."""
    states = (placement.state for placement in plan.placements)
    predicted = (site.predicted for site in plan.losses)
    yield from map(CopyOut, dict.fromkeys(map(places.steps, (*states, *predicted))))


def _put_slopes(plan: Plan, places: Places) -> Iterator[Command]:
    """The derivatives of losses by states, where all that arrives is added up."""
    yield from map(Clear, places.cleared())
    deltas = dict.fromkeys(site.delta for site in plan.losses)
    yield from (CopyIn(places.steps(delta)) for delta in deltas if delta is not None)


def _fetch_derivatives(plan: Plan, places: Places) -> Iterator[Command]:
    """Those by packed weights, and what has arrived at the rows around the steps, or behind a sequence's own end."""
    for stage in plan.stages:
        for operation in stage.backward.operations():
            if isinstance(operation, Contract):
                yield CopyOut(places.whole(f"d{operation.weights}"))
            elif isinstance(operation, Reduce):
                yield CopyOut(places.vector(operation.row, derivative=True))
    for site in plan.initials:
        yield from (CopyOut(places.before(site.delta)), CopyOut(places.behind(site.delta)))
        if places.shape.ragged:
            yield CopyOut(places.steps(site.delta))
