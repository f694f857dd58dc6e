"""Copies between the host and a device as few commands: what a section copies whole lies in one arena, which it copies.

An arena is memory that several arrays are parts of, one behind the other. The host's part of it is laid out alike, so
that to copy one is a single transfer, however many arrays it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeGuard

from graphbptt.codegen.launches.commands import Command, CopyIn, CopyOut
from graphbptt.codegen.launches.device_arrays import ALIGNED, Address, ArrayKind, DeviceArray
from graphbptt.codegen.launches.launch_plan import LaunchPlan, Section

__all__ = ["join_copies", "lay_arena"]

JOINED: tuple[ArrayKind, ...] = ("field", "initial", "loss")
"""Kinds of arrays that arenas are made of: those of one shape of batch that the host has whole."""


def join_copies(plan: LaunchPlan) -> LaunchPlan:
    """The plan with an arena, called after the section, for each one that copies two such arrays or more. No array may
    be in two of them."""
    arrays, arenas = dict(plan.array), list[DeviceArray]()
    sections: list[Section] = []
    for section in plan.sections:
        joined = [command for command in section.commands if _is_joined(command, arrays)]
        if len(joined) < 2:
            sections.append(section)
            continue
        members = [arrays[copy.region.array] for copy in joined]
        arena, *placed = lay_arena(section.name, members)
        assert all(arrays[array.name].within is None for array in placed), "no memory is in two places"
        arenas.append(arena)
        arrays |= {array.name: array for array in placed}
        copy = type(joined[0])(arena.whole())
        others = (command for command in section.commands if command not in joined)
        sections.append(Section(section.name, (copy, *others)))
    return replace(plan, arrays=(*arenas, *arrays.values()), sections=tuple(sections))


def _is_joined(command: Command, arrays: dict[str, DeviceArray]) -> TypeGuard[CopyIn | CopyOut]:
    if not isinstance(command, CopyIn | CopyOut):
        return False
    array = arrays[command.region.array]
    return array.kind in JOINED and command.region == array.whole()


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
