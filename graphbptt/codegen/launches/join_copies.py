"""Copies between the host and a device as few commands: what a section copies whole lies in one arena, which it copies.

An arena is memory that several arrays are parts of, one behind the other. The host's part of it is laid out alike, so
that to copy one is a single transfer, however many arrays it has. A section that copies less of it than another one
copies its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeGuard

from graphbptt.codegen.launches.commands import Command, CopyIn, CopyOut
from graphbptt.codegen.launches.device_arrays import ALIGNED, Address, ArrayKind, DeviceArray, Region
from graphbptt.codegen.launches.launch_plan import LaunchPlan, Section

__all__ = ["join_copies", "lay_arena"]

JOINED: tuple[ArrayKind, ...] = ("field", "initial", "loss", "gradient")
"""Kinds of arrays that arenas are made of: those of one shape of batch that the host has whole."""


def join_copies(plan: LaunchPlan) -> LaunchPlan:
    """The plan with an arena, called after the section, for each one that copies two such arrays or more, unless they
    are those with which another arena begins. No array may be in two of them."""
    copied = {
        section.name: [array.name for array in _list_joined(section, plan)] for section in plan.sections
    }
    arrays, arenas = dict(plan.array), dict[str, list[str]]()
    for name, members in sorted(copied.items(), key=lambda item: -len(item[1])):
        if len(members) > 1 and not any(_begins(arena, members) for arena in arenas.values()):
            assert all(arrays[member].within is None for member in members), "no memory is in two places"
            arenas[name] = members
            arrays |= {array.name: array for array in lay_arena(name, [arrays[member] for member in members])}
    sections = tuple(_copy_arenas(section, plan, arenas, arrays) for section in plan.sections)
    placed = (arrays.pop(arena) for arena in arenas)
    return replace(plan, arrays=(*placed, *arrays.values()), sections=sections)


def _list_joined(section: Section, plan: LaunchPlan) -> list[DeviceArray]:
    """The arrays that a section copies and that an arena may have."""
    return [plan.array[item.region.array] for item in section.commands if _is_joined(item, plan.array)]


def _is_joined(command: Command, arrays: dict[str, DeviceArray]) -> TypeGuard[CopyIn | CopyOut]:
    if not isinstance(command, CopyIn | CopyOut):
        return False
    array = arrays[command.region.array]
    return array.kind in JOINED and command.region == array.whole()


def _begins(arena: Sequence[str], members: Sequence[str]) -> bool:
    return list(arena[: len(members)]) == list(members)


def _copy_arenas(
    section: Section, plan: LaunchPlan, arenas: dict[str, list[str]], arrays: dict[str, DeviceArray]
) -> Section:
    """The section with one copy in place of several: of an arena, or of its beginning."""
    joined = [command for command in section.commands if _is_joined(command, plan.array)]
    if len(joined) < 2:
        return section
    members = [command.region.array for command in joined]
    arena = next(name for name, others in arenas.items() if _begins(others, members))
    last = arrays[members[-1]]
    assert last.within is not None, "it was laid there"
    stop = last.within.offset + last.bytes
    copy = type(joined[0])(Region(arena, 0, 1, stop, stop))
    return Section(section.name, (copy, *(item for item in section.commands if item not in joined)))


def lay_arena(name: str, arrays: list[DeviceArray]) -> Iterator[DeviceArray]:
    """The arena, and these arrays within it, one behind the other.

    >>> flags = DeviceArray("flags", "field", (2,), "float64")
    >>> wanted = DeviceArray("wanted", "field", (3, 5), "float32")
    >>> for array in lay_arena("upload", [flags, wanted]):
    ...     print(array.name, array.kind, array.bytes, array.within)
    upload arena 316 None
    flags field 16 Address(array='upload', offset=0)
    wanted field 60 Address(array='upload', offset=256)
    """
    placed: list[DeviceArray] = []
    stop = 0
    for array in arrays:
        start = -(-stop // ALIGNED) * ALIGNED
        placed.append(replace(array, within=Address(name, start)))
        stop = start + array.bytes
    yield DeviceArray(name, "arena", (stop,), "uint8")
    yield from placed
