"""A launch plan from parts, each of which a file of its own contributes: arrays, and commands by section.

Within a section commands stand in the order of the parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from graphbptt.codegen.launches.commands import Clear, Command, CopyIn, CopyOut, Launch, Multiply, Signature
from graphbptt.codegen.launches.device_arrays import Address, DeviceArray
from graphbptt.codegen.launches.join_copies import join_copies
from graphbptt.codegen.launches.launch_plan import SECTIONS, LaunchPlan, LaunchShape, Section, SectionName
from graphbptt.codegen.precision import Precision

__all__ = ["Part", "assemble"]


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of the work contributes."""

    arrays: tuple[DeviceArray, ...] = ()
    sections: tuple[Section, ...] = ()


def assemble(
    precision: Precision, shape: LaunchShape, signatures: Iterable[Signature], parts: Iterable[Part]
) -> LaunchPlan:
    """The plan of all parts, with as few copies as `join_copies` makes them. Arrays that no command names, and commands
    that do nothing, are left out."""
    parts = tuple(parts)
    sections = tuple(
        Section(name, tuple(command for command in _find_commands(parts, name) if _does_something(command)))
        for name in SECTIONS
    )
    named = {name for section in sections for command in section.commands for name in _names(command)}
    arrays = tuple(array for part in parts for array in part.arrays if array.name in named)
    called = {
        command.kernel for section in sections for command in section.commands if isinstance(command, Launch)
    }
    kept = tuple(signature for signature in signatures if signature.kernel in called)
    return join_copies(LaunchPlan(precision, shape, arrays, kept, sections))


def _find_commands(parts: Iterable[Part], name: SectionName) -> Iterator[Command]:
    for part in parts:
        for section in part.sections:
            if section.name == name:
                yield from section.commands


def _does_something(command: Command) -> bool:
    """A history of no rows is copied and cleared as well."""
    match command:
        case Launch(threads=threads):
            return threads > 0
        case Multiply(out=region) | Clear(region) | CopyIn(region) | CopyOut(region):
            return region.size > 0


def _names(command: Command) -> Iterator[str]:
    if isinstance(command, Launch):
        yield from (item.array for item in command.arguments if isinstance(item, Address))
    yield from (region.array for region in (*command.reads, *command.writes))
