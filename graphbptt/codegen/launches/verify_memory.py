"""What must hold for the memory of a launch plan, and for what its commands do with it.

- Arrays of an arena lie inside it, behind it in the list, aligned, and apart from each other; an arena is copied by
  whole arrays, and nothing else is done to it.
- Regions lie inside their arrays, and their rows do not overlap each other; nothing writes to a constant.
- Every number that a command reads was written before it, by the same or an earlier section, number by number, or is
  kept from an earlier run.
"""

from __future__ import annotations

import numpy as np

from graphbptt.codegen.launches.commands import Command, CopyIn, CopyOut
from graphbptt.codegen.launches.device_arrays import ALIGNED, SHARED, Region
from graphbptt.codegen.launches.launch_plan import LaunchPlan
from graphbptt.codegen.launches.launch_text import format_region
from graphbptt.codegen.launches.meeting_regions import select
from graphbptt.codegen.launches.require import require

__all__ = ["Ledger", "check_arenas", "check_regions"]


def check_arenas(plan: LaunchPlan) -> None:
    """Whether memory that is part of other memory is no one else's."""
    sizes = dict[str, int]()
    for array in plan.arrays:
        if array.kind == "arena":
            require(array.dtype == "uint8" and not array.within, f"{array.name} is no plain memory")
            sizes[array.name] = array.bytes
        elif array.within:
            require(array.within.array in sizes, f"there is no arena {array.within.array} for {array.name}")
            require(array.kind not in SHARED, f"{array.name} in an arena is {array.kind}, for all shapes")
    for arena, members in plan.members.items():
        offsets = {array.name: array.within.offset for array in members if array.within}
        stop = 0
        for name, offset in sorted(offsets.items(), key=lambda item: item[1]):
            require(offset % ALIGNED == 0, f"{name} begins at byte {offset}, no multiple of {ALIGNED}")
            require(offset >= stop, f"{name} overlaps the array before it in {arena}")
            stop = offset + plan.array[name].bytes
            require(stop <= sizes[arena], f"{name} lies outside of the {sizes[arena]} bytes of {arena}")


def check_regions(plan: LaunchPlan, command: Command) -> None:
    """Whether a command's regions are where they can be, and of arrays to which it may do what it does."""
    for region in (*command.reads, *command.writes):
        _check_region(plan, region)
    for region in command.writes:
        require(plan.array[region.array].kind != "constant", f"{region.array} is constant, and written")
    for region in (*command.reads, *command.writes):
        if plan.array[region.array].kind == "arena":
            copied = isinstance(command, CopyIn | CopyOut) and _has_whole_arrays(plan, region)
            require(copied, f"{region.array} is an arena, and not copied by whole arrays")


def _check_region(plan: LaunchPlan, region: Region) -> None:
    require(region.array in plan.array, f"there is no array {region.array}")
    size, shown = plan.array[region.array].size, format_region(region, plan.array)
    inside = region.size > 0 and region.offset >= 0 and region.stop <= size
    require(inside, f"{shown} lies outside of the {size} numbers of {region.array}")
    fits = region.rows == 1 or region.stride >= region.columns
    require(fits, f"rows of {shown} overlap: the stride is less than their length")


def _has_whole_arrays(plan: LaunchPlan, region: Region) -> bool:
    """Whether some bytes of an arena begin with an array and end with one."""
    inside = [plan.array[part.array] for part in plan.spread(region)]
    places = [(array.within.offset, array.bytes) for array in inside if array.within]
    ends = {offset + size for offset, size in places}
    return region.rows == 1 and bool(places) and (min(places)[0], max(ends)) == (region.offset, region.stop)


class Ledger:
    """Which numbers of each array were written so far; constants and what is kept are there."""

    def __init__(self, plan: LaunchPlan) -> None:
        self._plan = plan
        given = ("constant", "kept")
        self._there = {array.name: np.full(array.size, array.kind in given) for array in plan.arrays}

    def follow(self, command: Command) -> None:
        """Check what the next command reads, and note what it writes."""
        for region in (part for whole in command.reads for part in self._plan.spread(whole)):
            ready = bool(select(self._there[region.array], region).all())
            require(ready, f"{format_region(region, self._plan.array)} is read before all of it is written")
        for region in (part for whole in command.writes for part in self._plan.spread(whole)):
            select(self._there[region.array], region)[...] = True
