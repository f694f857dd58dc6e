"""What must hold for a launch plan, checked on the data, as it can be without a GPU.

- Names are unique; what is named is there, and sections stand in their order, each once.
- Arrays of an arena lie inside it, behind it in the list, aligned, and apart from each other; an arena is copied by
  whole arrays, and nothing else is done to it.
- Regions lie inside their arrays, and their rows do not overlap each other.
- A grid has as many blocks as its threads need and no more; a kernel is given what its parameters say: numbers, and
  arrays of their type.
- What a launch says that it reads or writes is in arrays that it is given; it writes to no constant, to nothing that
  its parameters say is constant, and to nothing that it reads by another pointer. Where a pointer is to be the only
  one to an array (``restrict``), it is.
- Matrices fit each other, and leading dimensions their rows; a product's result meets none of its factors, nor, where
  several are computed at once, those of the others and their results.
- Every number that a command reads was written before it, by the same or an earlier section, number by number, or is
  kept from an earlier run.
- Sections that are recorded copy nothing from the host, or to it; a section that copies from the host does nothing
  else, as the copies go beside the work.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.launches.commands import Clear, Command, CopyIn, CopyOut, Launch, Multiply
from graphbptt.codegen.launches.device_arrays import ALIGNED, SHARED, Address, Region
from graphbptt.codegen.launches.launch_plan import RECORDED, SECTIONS, LaunchPlan
from graphbptt.codegen.launches.launch_text import format_region
from graphbptt.errors import VerificationError

__all__ = ["verify_launches"]

C_TYPES = {
    "int": "int32", "long long": "int64", "word": "uint64", "unsigned char": "bool", "double": "float64",
    "unsigned int": "uint32",
}  # fmt: skip
"""The dtypes of C's types, but for that of real numbers."""

LARGEST_GRID = 2**31 - 1
"""The blocks that its first dimension may have."""


def verify_launches(plan: LaunchPlan) -> LaunchPlan:
    """Return the plan if all holds.

    Raises
    ------
    VerificationError
        It says of the first thing that does not hold, in which section and command.
    """
    names = [array.name for array in plan.arrays]
    _require(len(set(names)) == len(names), f"two arrays have one name: {_twice(names)}")
    sections = [section.name for section in plan.sections]
    _require(
        sections == [name for name in SECTIONS if name in sections], f"sections are out of order: {sections}"
    )
    _check_arenas(plan)
    checks = _CommandChecks(plan)
    ledger = _Ledger(plan)
    recorded = {name for group in RECORDED for name in group}
    for section in plan.sections:
        for number, command in enumerate(section.commands):
            try:
                checks.check(command)
                _require(
                    not (section.name in recorded and isinstance(command, CopyIn | CopyOut)),
                    "the host's memory has no place in what is recorded",
                )
                ledger.follow(command)
            except VerificationError as error:
                raise VerificationError(f"{section.name}, command {number}: {error}") from None
        copies = [isinstance(command, CopyIn) for command in section.commands]
        alone = all(copies) or not any(copies)
        _require(alone, f"{section.name} copies from the host, and does more than that")
    return plan


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise VerificationError(message)


def _twice(names: list[str]) -> str:
    return ", ".join(name for name, count in Counter(names).items() if count > 1)


def _check_arenas(plan: LaunchPlan) -> None:
    """Whether memory that is part of other memory is no one else's."""
    sizes = dict[str, int]()
    for array in plan.arrays:
        if array.kind == "arena":
            _require(array.dtype == "uint8" and not array.within, f"{array.name} is no plain memory")
            sizes[array.name] = array.bytes
        elif array.within:
            _require(array.within.array in sizes, f"there is no arena {array.within.array} for {array.name}")
            _require(array.kind not in SHARED, f"{array.name} in an arena is {array.kind}, for all shapes")
    for arena, members in plan.members.items():
        offsets = {array.name: array.within.offset for array in members if array.within}
        stop = 0
        for name, offset in sorted(offsets.items(), key=lambda item: item[1]):
            _require(offset % ALIGNED == 0, f"{name} begins at byte {offset}, no multiple of {ALIGNED}")
            _require(offset >= stop, f"{name} overlaps the array before it in {arena}")
            stop = offset + plan.array[name].bytes
            _require(stop <= sizes[arena], f"{name} lies outside of the {sizes[arena]} bytes of {arena}")


class _CommandChecks:
    """Whether commands are right, each by itself."""

    def __init__(self, plan: LaunchPlan) -> None:
        self.plan, self.arrays = plan, plan.array
        self.real = plan.precision.name
        self.parameters = {signature.kernel: signature.parameters for signature in plan.signatures}

    def check(self, command: Command) -> None:
        for region in (*command.reads, *command.writes):
            self._check_region(region)
        for region in command.writes:
            constant = self.arrays[region.array].kind == "constant"
            _require(not constant, f"{region.array} is constant, and written")
        for region in (*command.reads, *command.writes):
            if self.arrays[region.array].kind == "arena":
                copied = isinstance(command, CopyIn | CopyOut) and self._has_whole_arrays(region)
                _require(copied, f"{region.array} is an arena, and not copied by whole arrays")
        match command:
            case Launch():
                self._check_launch(command)
            case Multiply():
                self._check_multiply(command)
            case Clear() | CopyIn() | CopyOut():
                pass

    def _has_whole_arrays(self, region: Region) -> bool:
        """Whether some bytes of an arena begin with an array and end with one."""
        inside = [self.arrays[part.array] for part in self.plan.spread(region)]
        places = [(array.within.offset, array.bytes) for array in inside if array.within]
        ends = {offset + size for offset, size in places}
        return (
            region.rows == 1 and bool(places) and (min(places)[0], max(ends)) == (region.offset, region.stop)
        )

    def _show(self, region: Region) -> str:
        return format_region(region, self.arrays)

    def _check_region(self, region: Region) -> None:
        _require(region.array in self.arrays, f"there is no array {region.array}")
        size = self.arrays[region.array].size
        inside = region.size > 0 and region.offset >= 0 and region.stop <= size
        _require(inside, f"{self._show(region)} lies outside of the {size} numbers of {region.array}")
        fits = region.rows == 1 or region.stride >= region.columns
        _require(fits, f"rows of {self._show(region)} overlap: the stride is less than their length")

    def _check_launch(self, command: Launch) -> None:
        threads, block = command.threads, command.block
        needed = -(-threads // block)
        _require(
            0 < needed == command.grid <= LARGEST_GRID,
            f"{command.kernel} has {command.grid} blocks of {block}, and {threads} threads need {needed}",
        )
        _require(command.kernel in self.parameters, f"there is no kernel {command.kernel}")
        parameters = self.parameters[command.kernel]
        _require(
            len(parameters) == len(command.arguments),
            f"{command.kernel} takes {len(parameters)} arguments, and is given {len(command.arguments)}",
        )
        _require(command.arguments[0] == threads, f"{command.kernel} is not told its number of threads")
        pointers, writable, alone = Counter[str](), set(), set()
        for parameter, argument in zip(parameters, command.arguments, strict=True):
            _require(
                ("*" in parameter) != isinstance(argument, int),
                f"{command.kernel}: {argument} is given for {parameter!r}",
            )
            if isinstance(argument, Address):
                self._check_address(command.kernel, parameter, argument)
                pointers[argument.array] += 1
                if not parameter.startswith("const "):
                    writable.add(argument.array)
                if "restrict" in parameter:
                    alone.add(argument.array)
        for name in alone:
            _require(
                pointers[name] == 1,
                f"{command.kernel}: another pointer leads to {name}, which may have one alone",
            )
        for region in command.reads:
            _require(
                region.array in pointers, f"{command.kernel} reads {region.array}, which it is not given"
            )
        for region in command.writes:
            _require(region.array in writable, f"{command.kernel} writes {region.array}, which it may not")
            self._check_alias(command, region, pointers[region.array])

    def _check_alias(self, command: Launch, written: Region, pointers: int) -> None:
        """What is written by one pointer is read by no other one; what is added to is read by the same."""
        size = self.arrays[written.array].size
        for region in command.reads if pointers > 1 else ():
            meets = region != written and _meet(region, written, size)
            _require(
                not meets,
                f"{command.kernel} writes {self._show(written)} while it reads {self._show(region)}",
            )

    def _check_address(self, kernel: str, parameter: str, argument: Address) -> None:
        _require(argument.array in self.arrays, f"there is no array {argument.array}")
        array = self.arrays[argument.array]
        inside = 0 <= argument.offset < array.size
        _require(
            inside, f"{kernel}: number {argument.offset} lies outside of the {array.size} of {array.name}"
        )
        kind = parameter.split("*")[0].removeprefix("const ").strip()
        wanted = self.real if kind == "real" else C_TYPES.get(kind)
        _require(array.dtype == wanted, f"{kernel}: {array.name} is {array.dtype}, for {parameter!r}")

    def _check_multiply(self, command: Multiply) -> None:
        out, a, b = command.out, command.a, command.b
        left = (a.columns, a.rows) if command.transpose_a else (a.rows, a.columns)
        right = (b.columns, b.rows) if command.transpose_b else (b.rows, b.columns)
        _require(
            left[1] == right[0] and (left[0], right[1]) == (out.rows, out.columns),
            f"{left} by {right} makes no {(out.rows, out.columns)}",
        )
        for region in (out, a, b):
            dtype = self.arrays[region.array].dtype
            _require(dtype == self.real, f"{region.array} is {dtype}, in a product of {self.real}")
            fits = region.stride >= max(1, region.columns)
            _require(fits, f"the leading dimension of {self._show(region)} is less than its rows")
        self._check_apart(command)

    def _check_apart(self, command: Multiply) -> None:
        """Products may be computed in any order, or at once."""
        products, size = command.split(), self.arrays[command.out.array].size
        _require(len(products) > 0, "there is no product")
        for number, product in enumerate(products):
            for other in products:
                for region in (other.a, other.b):
                    message = f"{self._show(product.out)} is written while {self._show(region)} is read"
                    _require(not _meet(region, product.out, size), message)
            for other in products[:number]:
                message = f"{self._show(product.out)} is written twice at once"
                _require(not _meet(other.out, product.out, size), message)


class _Ledger:
    """Which numbers of each array were written so far; constants and what is kept are there."""

    def __init__(self, plan: LaunchPlan) -> None:
        self.plan, self.arrays = plan, plan.array
        given = ("constant", "kept")
        self.there = {array.name: np.full(array.size, array.kind in given) for array in plan.arrays}

    def follow(self, command: Command) -> None:
        for region in (part for whole in command.reads for part in self.plan.spread(whole)):
            ready = bool(_select(self.there[region.array], region).all())
            _require(ready, f"{format_region(region, self.arrays)} is read before all of it is written")
        for region in (part for whole in command.writes for part in self.plan.spread(whole)):
            _select(self.there[region.array], region)[...] = True


def _select(numbers: npt.NDArray[np.bool_], region: Region) -> npt.NDArray[np.bool_]:
    """A rectangle as a view."""
    step = numbers.itemsize
    return np.lib.stride_tricks.as_strided(
        numbers[region.offset :], (region.rows, region.columns), (region.stride * step, step)
    )


def _meet(one: Region, other: Region, size: int) -> bool:
    """Whether two regions have a number in common."""
    if one.array != other.array or one.stop <= other.offset or other.stop <= one.offset:
        return False
    numbers = np.zeros(size, bool)
    _select(numbers, one)[...] = True
    return bool(_select(numbers, other).any())
