"""Copies from the host go beside the work, and work waits for those alone that it needs.

    course  := (stretch, ...)                           what a run does, one after the other
    stretch := Stretch(copies, sections, recorded)      first it waits for these copies, then it does these sections

All copies are started before the first stretch, in the order in which they are waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from graphbptt.codegen.launches.commands import CopyIn
from graphbptt.codegen.launches.launch_plan import RECORDED, LaunchPlan, SectionName

__all__ = ["Stretch", "order_copies"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """`recorded` says whether all of it can be recorded at once."""

    copies: tuple[CopyIn, ...]
    sections: tuple[SectionName, ...]
    recorded: bool


def order_copies(plan: LaunchPlan, sections: Sequence[SectionName]) -> tuple[Stretch, ...]:
    """The course of a run of some sections.

    A stretch waits for the copies to arrays that it is the first to name; what nothing in this run names is waited for
    last, so that all that was started is done when the last stretch is.
    """
    copies = {
        command: None for name in sections for command in plan.section[name] if isinstance(command, CopyIn)
    }
    stretches: list[Stretch] = []
    working = [name for name in sections if not _copies_in(plan, name)]
    for group, names in groupby(working, key=_find_group):
        stretch = tuple(names)
        named = set(_list_arrays(plan, stretch))
        needed = tuple(
            copy for copy in copies if any(region.array in named for region in plan.spread(copy.region))
        )
        for copy in needed:
            del copies[copy]
        stretches.append(Stretch(needed, stretch, group is not None))
    if copies:
        stretches.append(Stretch(tuple(copies), (), False))
    return tuple(stretches)


def _copies_in(plan: LaunchPlan, name: SectionName) -> bool:
    return any(isinstance(command, CopyIn) for command in plan.section[name])


def _find_group(name: SectionName) -> int | None:
    return next((number for number, group in enumerate(RECORDED) if name in group), None)


def _list_arrays(plan: LaunchPlan, sections: Sequence[SectionName]) -> Iterator[str]:
    for name in sections:
        for command in plan.section[name]:
            for region in (*command.reads, *command.writes):
                yield from (part.array for part in plan.spread(region))
