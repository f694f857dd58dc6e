"""From kernels and a shape of batches to everything that a device does for one of them, in order."""

from __future__ import annotations

from graphbptt.codegen.kernels.update_kernels import UpdateKernels
from graphbptt.codegen.kernels.write_kernels import Kernels
from graphbptt.codegen.launches.assemble_launches import Part, assemble
from graphbptt.codegen.launches.commands import CopyOut
from graphbptt.codegen.launches.launch_plan import LaunchPlan, LaunchShape, Section
from graphbptt.codegen.persistent.write_persistent import NO_PERSISTENT, PersistentKernels
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.schedules.place_arrays import Places
from graphbptt.codegen.schedules.schedule_edges import schedule_edges
from graphbptt.codegen.schedules.schedule_sweeps import schedule_sweeps
from graphbptt.codegen.schedules.schedule_update import schedule_update
from graphbptt.ir.plan import Plan

__all__ = ["schedule_launches"]


def schedule_launches(
    plan: Plan,
    kernels: Kernels,
    precision: Precision,
    shape: LaunchShape,
    persistent: PersistentKernels = NO_PERSISTENT,
    update: UpdateKernels | None = None,
) -> LaunchPlan:
    """The launch plan of a plan for batches of one shape, for which some scans may have `persistent` kernels; with an
    update of the parameters where there is one."""
    places = Places(plan, kernels.copies, precision, shape)
    sweeps = schedule_sweeps(plan, kernels, precision, places, persistent.kernels)
    edges = schedule_edges(plan, kernels, precision, places, sweeps)
    parts = (Part(tuple(places.arrays.values())), *edges, sweeps)
    signatures = (*kernels.signatures, *persistent.signatures)
    if update is not None:
        parts = (*parts, schedule_update(update, precision, places))
        signatures = (*signatures, *update.signatures)
    # Last of all that is copied then, which begins with what is copied without it: that is one transfer either way.
    gradient = Part(sections=(Section("download", (CopyOut(places.whole("gradient")),)),))
    parts = (*parts, gradient)
    return assemble(precision, shape, signatures, parts)
