"""What must hold for a launch of a kernel.

- A grid has as many blocks as its threads need and no more; a kernel is given what its parameters say: numbers, and
  arrays of their type.
- What a launch says that it reads or writes is in arrays that it is given; it writes to nothing that its parameters say
  is constant, and to nothing that it reads by another pointer. Where a pointer is to be the only one to an array
  (``restrict``), it is.
"""

from __future__ import annotations

from collections import Counter

from graphbptt.codegen.launches.commands import ArgumentValue, Launch
from graphbptt.codegen.launches.device_arrays import Address, Region
from graphbptt.codegen.launches.launch_plan import LaunchPlan
from graphbptt.codegen.launches.launch_text import format_region
from graphbptt.codegen.launches.meeting_regions import have_common
from graphbptt.codegen.launches.require import require

__all__ = ["check_launch"]

C_TYPES = {
    "int": "int32", "long long": "int64", "word": "uint64", "unsigned char": "bool", "double": "float64",
    "unsigned int": "uint32",
}  # fmt: skip
"""The dtypes of C's types, but for that of real numbers."""

LARGEST_GRID = 2**31 - 1
"""The blocks that its first dimension may have."""


def check_launch(plan: LaunchPlan, command: Launch) -> None:
    """Whether a launch is right by itself."""
    kernel = command.kernel
    _check_grid(command)
    pairs = _pair_arguments(plan, command)
    given = [(parameter, item) for parameter, item in pairs if isinstance(item, Address)]
    for parameter, address in given:
        _check_address(plan, kernel, parameter, address)
    pointers = Counter(address.array for _, address in given)
    for name in (address.array for parameter, address in given if "restrict" in parameter):
        require(pointers[name] == 1, f"{kernel}: another pointer leads to {name}, which may have one alone")
    for region in command.reads:
        require(region.array in pointers, f"{kernel} reads {region.array}, which it is not given")
    writable = {address.array for parameter, address in given if not parameter.startswith("const ")}
    for region in command.writes:
        require(region.array in writable, f"{kernel} writes {region.array}, which it may not")
        if pointers[region.array] > 1:
            _check_alias(plan, command, region)


def _check_grid(command: Launch) -> None:
    threads, block = command.threads, command.block
    needed = -(-threads // block)
    require(
        0 < needed == command.grid <= LARGEST_GRID,
        f"{command.kernel} has {command.grid} blocks of {block}, and {threads} threads need {needed}",
    )


def _pair_arguments(plan: LaunchPlan, command: Launch) -> list[tuple[str, ArgumentValue]]:
    """Each parameter and what is given for it: as many of the one as of the other, and of its kind."""
    kernel, arguments = command.kernel, command.arguments
    require(kernel in plan.signature, f"there is no kernel {kernel}")
    parameters = plan.signature[kernel].parameters
    require(
        len(parameters) == len(arguments),
        f"{kernel} takes {len(parameters)} arguments, and is given {len(arguments)}",
    )
    require(arguments[0] == command.threads, f"{kernel} is not told its number of threads")
    pairs = list(zip(parameters, arguments, strict=True))
    for parameter, argument in pairs:
        fits = ("*" in parameter) != isinstance(argument, int)
        require(fits, f"{kernel}: {argument} is given for {parameter!r}")
    return pairs


def _check_address(plan: LaunchPlan, kernel: str, parameter: str, address: Address) -> None:
    require(address.array in plan.array, f"there is no array {address.array}")
    array = plan.array[address.array]
    inside = 0 <= address.offset < array.size
    require(inside, f"{kernel}: number {address.offset} lies outside of the {array.size} of {array.name}")
    kind = parameter.split("*")[0].removeprefix("const ").strip()
    wanted = plan.precision.name if kind == "real" else C_TYPES.get(kind)
    require(array.dtype == wanted, f"{kernel}: {array.name} is {array.dtype}, for {parameter!r}")


def _check_alias(plan: LaunchPlan, command: Launch, written: Region) -> None:
    """What is written by one pointer is read by no other one; what is added to is read by the same."""
    size = plan.array[written.array].size
    for region in command.reads:
        meets = region != written and have_common(region, written, size)
        shown = (format_region(item, plan.array) for item in (written, region))
        require(not meets, f"{command.kernel} writes {' while it reads '.join(shown)}")
