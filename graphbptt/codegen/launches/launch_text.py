"""A launch plan as text: its arrays, then its commands, one a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphbptt.codegen.launches.commands import (
    ArgumentValue,
    Clear,
    Command,
    CopyIn,
    CopyOut,
    Launch,
    Multiply,
)
from graphbptt.codegen.launches.device_arrays import Address, DeviceArray, Region
from graphbptt.codegen.launches.launch_plan import LaunchPlan

__all__ = ["format_launches", "format_region"]


def format_launches(plan: LaunchPlan) -> str:
    """The text of a plan, in the words of its grammar."""
    return "\n".join(_format(plan))


def _format(plan: LaunchPlan) -> Iterator[str]:
    shape = plan.shape
    ends = ", of their own lengths" if shape.ragged else ""
    pace = ", step by step" if shape.stepwise else ""
    yield f"launches for {shape.steps} steps of {shape.size} examples{ends}{pace}: {plan.precision.name}"
    yield f"arrays, {plan.bytes} bytes"
    width = max((len(array.name) for array in plan.arrays), default=0)
    for array in plan.arrays:
        sizes = " x ".join(map(str, array.shape)) or "1"
        place = f" at byte {array.within.offset} of {array.within.array}" if array.within else ""
        yield f"  {array.name:{width}}  {array.kind:10}  {sizes} {array.dtype}{place}"
    for section in plan.sections:
        if section.commands:
            yield section.name
            yield from (f"  {_format_command(command, plan.array)}" for command in section.commands)


def _format_command(command: Command, arrays: dict[str, DeviceArray]) -> str:
    match command:
        case Launch(kernel, _, grid, block, arguments, reads, writes):
            given = ", ".join(map(_format_argument, arguments))
            return f"{_list(writes, arrays)} <- {kernel}<{grid} x {block}>({given}) <- {_list(reads, arrays)}"
        case Multiply(out, a, b):
            left, right = (
                format_region(region, arrays) + (".T" if turned else "")
                for region, turned in ((a, command.transpose_a), (b, command.transpose_b))
            )
            becomes = "+=" if command.accumulate else "="
            more = f", {command.count} times, each {command.steps} further" if command.count > 1 else ""
            return f"{format_region(out, arrays)} {becomes} {left} @ {right}{more}"
        case Clear(region):
            return f"{format_region(region, arrays)} = 0"
        case CopyIn(region):
            return f"{format_region(region, arrays)} <- host"
        case CopyOut(region):
            return f"host <- {format_region(region, arrays)}"


def _format_argument(argument: ArgumentValue) -> str:
    match argument:
        case None:
            return "NULL"
        case Address(array, offset):
            return f"{array} + {offset}" if offset else array
        case _:
            return str(argument)


def _list(regions: Iterable[Region], arrays: dict[str, DeviceArray]) -> str:
    return ", ".join(dict.fromkeys(format_region(region, arrays) for region in regions)) or "nothing"


def format_region(region: Region, arrays: dict[str, DeviceArray]) -> str:
    """Rows and columns of the array, as far as they are some; else the rectangle with its offset and stride."""
    array = arrays.get(region.array)
    if array is not None and region == array.whole():
        return region.array
    stride = region.stride
    if (
        array is None
        or not stride
        or stride != array.width
        or region.offset % stride + region.columns > stride
    ):
        return f"{region.array}[{region.offset}: {region.rows} x {region.columns} by {region.stride}]"
    row, column = divmod(region.offset, region.stride)
    columns = f", {column}:{column + region.columns}" if region.columns < region.stride else ""
    return f"{region.array}[{row}:{row + region.rows}{columns}]"
