"""Everything a GPU does for one shape of batch, as data: which memory there is, and what is launched on it in order.

    plan     := LaunchPlan(precision, shape, arrays, signatures, sections)
    shape    := LaunchShape(steps, size, ragged, stepwise)
    section  := Section(name, (command, ...))           one of SECTIONS, in their order
    array, command, signature: as `launches.device_arrays` and `launches.commands` say

Nothing is allocated while a plan runs, and what a command is given never changes: a number that is another one for
every batch (how many examples a mean runs over) lies in an array, of kind `field`, that is copied in. So a section can
be recorded once and repeated.

A part of the work enters a plan by three things: kernels (their text, and a `Signature` for each), the arrays that they
need, and commands in the sections to which they belong (`launches.assemble_launches`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from graphbptt.codegen.launches.commands import Command, Signature
from graphbptt.codegen.launches.device_arrays import DeviceArray, Region
from graphbptt.codegen.precision import Precision

__all__ = ["RECORDED", "SECTIONS", "LaunchPlan", "LaunchShape", "Section", "SectionName"]

SectionName = Literal[
    "load", "carry", "upload", "targets", "prepare", "forward", "states", "measure", "backward", "combine", "update",
    "report", "outcome", "download", "parameters",
]  # fmt: skip
SECTIONS: tuple[SectionName, ...] = get_args(SectionName)
"""In the order in which they run: a copy of the parameters; copies of what a batch goes on from, where it does; of what
it brings; of what is wanted; weights packed, states set, rows filled around the steps; the states of all steps; copies
of these for the host, where it asks for them; the terms of the loss and their derivatives by states; the derivatives of
all steps; derivatives of copies added up; the parameters updated; copies of the terms, of these and what became of the
update, of these and the derivative, and of the parameters."""

RECORDED: tuple[tuple[SectionName, ...], ...] = (
    ("prepare", "forward"), ("measure", "backward", "combine", "update"),
)  # fmt: skip
"""Sections that are recorded and repeated, a group at once: nothing in them waits for the host or meets its memory.
What the second group alone needs, as all that is wanted, may still be on its way there while the first one runs."""


@dataclass(frozen=True, slots=True)
class LaunchShape:
    """What a plan is for: the steps and examples of a batch, and whether sequences differ in length. With `stepwise`
    products of whole sequences go a step at a time, so that their bits do not depend on the number of steps."""

    steps: int
    size: int
    ragged: bool = False
    stepwise: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    name: SectionName
    commands: tuple[Command, ...]


@dataclass(frozen=True)
class LaunchPlan:
    precision: Precision
    shape: LaunchShape
    arrays: tuple[DeviceArray, ...]
    signatures: tuple[Signature, ...]
    sections: tuple[Section, ...]

    @cached_property
    def array(self) -> dict[str, DeviceArray]:
        return {array.name: array for array in self.arrays}

    @cached_property
    def signature(self) -> dict[str, Signature]:
        return {signature.kernel: signature for signature in self.signatures}

    @cached_property
    def section(self) -> dict[SectionName, tuple[Command, ...]]:
        return {section.name: section.commands for section in self.sections}

    @cached_property
    def bytes(self) -> int:
        """What all arrays take together."""
        return sum(array.bytes for array in self.arrays if array.within is None)

    @cached_property
    def members(self) -> dict[str, tuple[DeviceArray, ...]]:
        """The arrays of each arena."""
        arenas = [array.name for array in self.arrays if array.kind == "arena"]
        return {
            arena: tuple(array for array in self.arrays if array.within and array.within.array == arena)
            for arena in arenas
        }

    def spread(self, region: Region) -> tuple[Region, ...]:
        """What a region is made of: of an arena, the arrays in these bytes."""
        if region.array not in self.members:
            return (region,)
        inside = range(region.offset, region.stop)
        members = self.members[region.array]
        return tuple(array.whole() for array in members if array.within and array.within.offset in inside)

    def commands(self) -> Iterator[Command]:
        for section in self.sections:
            yield from section.commands

    def __str__(self) -> str:
        from graphbptt.codegen.launches.launch_text import (
            format_launches,  # written in terms of what is declared here
        )

        return format_launches(self)
