"""Everything a GPU does for one shape of batch, as data: which memory there is, and what is launched on it in order.

    plan     := LaunchPlan(precision, shape, arrays, signatures, sections)
    shape    := LaunchShape(steps, size, ragged, stepwise)
    array    := DeviceArray(name, kind, shape, dtype, values)       memory that lives as long as the plan
    kind     := constant | kept | parameter | field | weight | initial | buffer | scratch | derivative | gradient | loss
    section  := Section(name, (command, ...))           one of SECTIONS, in their order
    command  := Launch(kernel, threads, grid, block, arguments, reads, writes, shared)
              | Multiply(out, a, b, transpose_a, transpose_b, accumulate, count, steps)     out (+)= a @ b, count times
              | Clear(region)                           zeros
              | CopyIn(region) | CopyOut(region)        from, or to, the array's twin on the host, in pinned memory;
                                                        in sections of their own (`launches.order_copies`)
    argument := whole number | Address(array, offset) | None        None is NULL
    region   := Region(array, offset, rows, columns, stride)        row r begins `stride` numbers behind row r - 1
    signature := Signature(kernel, parameters)          the C declarations of what a kernel takes

Nothing is allocated while a plan runs, and what a command is given never changes: a number that is another one for
every batch (how many examples a mean runs over) lies in an array, of kind `field`, that is copied in. So a section can
be recorded once and repeated.

A part of the work enters a plan by three things: kernels (their text, and a `Signature` for each), the arrays that they
need, and commands in the sections to which they belong (`launches.assemble_launches`). A kernel's first
argument is always the number of its threads, one for each number of its result or for each row;
`launches.launch_kernel` makes the grid from it, and puts the others, which are given by name, in their order. `reads`
are what it needs to find there, `writes` what it leaves, whatever its addresses are; a thread that adds to a number
reads it, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.precision import Precision

__all__ = [
    "COUNT",
    "RECORDED",
    "SECTIONS",
    "THREADS",
    "Address",
    "ArgumentValue",
    "ArrayKind",
    "Clear",
    "Command",
    "CopyIn",
    "CopyOut",
    "DeviceArray",
    "Launch",
    "LaunchPlan",
    "LaunchShape",
    "Multiply",
    "Region",
    "Section",
    "SectionName",
    "Signature",
]

THREADS = 256
"""The threads of a block."""

COUNT = "const ptrdiff_t threads"
"""What every kernel is given first."""

ArrayKind = Literal[
    "constant", "kept", "parameter", "field", "weight", "initial", "buffer", "scratch", "derivative", "gradient",
    "loss",
]  # fmt: skip
"""What an array holds: numbers that never change; what a run leaves for the next one; the flat vector of parameters;
what a batch brings; packed copies of parameters; the rows that sequences start from; a buffer of the plan; what is used
up at once; derivatives by packed copies; the derivative by the free parameters; the means of the loss's terms. What is
constant or kept begins with its values, all else with nothing."""

SectionName = Literal[
    "load", "carry", "upload", "targets", "prepare", "forward", "states", "measure", "backward", "combine", "update",
    "report", "outcome", "download", "parameters",
]  # fmt: skip
SECTIONS: tuple[SectionName, ...] = get_args(SectionName)
"""In the order in which they run: a copy of the parameters; copies of what a batch goes on from, where it does; of what
it brings; of what is wanted; weights packed, states set, rows filled around the steps; the states of all steps; copies
of these for the host, where it asks for them; the terms of the loss and their derivatives by states; the derivatives of
all steps; derivatives of copies added up; the parameters updated; copies of the terms, of what became of the update, of
the derivative, and of the parameters."""

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
class DeviceArray:
    """Memory of the device in C order; `values` are those with which it begins."""

    name: str
    kind: ArrayKind
    shape: tuple[int, ...]
    dtype: str
    values: npt.NDArray[Any] | None = field(default=None, compare=False, repr=False)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def width(self) -> int:
        """The length of its rows."""
        return self.shape[-1] if self.shape else 1

    def whole(self) -> Region:
        """All of it, row by row."""
        rows = self.size // self.width if self.width else 0
        return Region(self.name, 0, rows, self.width, self.width)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a pointer leads to: `offset` numbers into an array."""

    array: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of numbers in an array's memory."""

    array: str
    offset: int
    rows: int
    columns: int
    stride: int

    @property
    def address(self) -> Address:
        return Address(self.array, self.offset)

    @property
    def size(self) -> int:
        return self.rows * self.columns

    @property
    def stop(self) -> int:
        """Behind its last number."""
        return self.offset + (self.rows - 1) * self.stride + self.columns if self.size else self.offset

    @property
    def contiguous(self) -> bool:
        return self.stride == self.columns or self.rows <= 1

    def move(self, by: int) -> Region:
        """The same rectangle so many numbers further."""
        return replace(self, offset=self.offset + by)


ArgumentValue = int | Address | None


@dataclass(frozen=True, slots=True)
class Launch:
    """A kernel on `grid` blocks of `block` threads, of which the first `threads` have something to do; `shared` is how
    many bytes of shared memory a block takes."""

    kernel: str
    threads: int
    grid: int
    block: int
    arguments: tuple[ArgumentValue, ...]
    reads: tuple[Region, ...]
    writes: tuple[Region, ...]
    shared: int = 0


@dataclass(frozen=True, slots=True)
class Multiply:
    """``out (+)= a @ b`` of matrices, `a` or `b` transposed first where it says so.

    `count` such products are computed at once, each with matrices so many numbers further than the one before as the
    `steps` of `out`, `a` and `b` say.
    """

    out: Region
    a: Region
    b: Region
    transpose_a: bool = False
    transpose_b: bool = False
    accumulate: bool = False
    count: int = 1
    steps: tuple[int, int, int] = (0, 0, 0)

    def split(self) -> tuple[Multiply, ...]:
        """Each product by itself."""
        out, a, b = self.steps
        return tuple(
            replace(
                self,
                out=self.out.move(k * out),
                a=self.a.move(k * a),
                b=self.b.move(k * b),
                count=1,
                steps=(0, 0, 0),
            )
            for k in range(self.count)
        )

    @property
    def rows(self) -> int:
        return self.out.rows

    @property
    def columns(self) -> int:
        return self.out.columns

    @property
    def depth(self) -> int:
        """Over how many numbers each product is summed."""
        return self.a.rows if self.transpose_a else self.a.columns

    @property
    def reads(self) -> tuple[Region, ...]:
        kept = (self.out,) if self.accumulate else ()
        if self.count == 1:
            return (self.a, self.b, *kept)
        return tuple(dict.fromkeys(region for product in self.split() for region in product.reads))

    @property
    def writes(self) -> tuple[Region, ...]:
        return tuple(self.out.move(k * self.steps[0]) for k in range(self.count))


@dataclass(frozen=True, slots=True)
class Clear:
    region: Region

    @property
    def reads(self) -> tuple[Region, ...]:
        return ()

    @property
    def writes(self) -> tuple[Region, ...]:
        return (self.region,)


@dataclass(frozen=True, slots=True)
class CopyIn:
    region: Region

    @property
    def reads(self) -> tuple[Region, ...]:
        return ()

    @property
    def writes(self) -> tuple[Region, ...]:
        return (self.region,)


@dataclass(frozen=True, slots=True)
class CopyOut:
    region: Region

    @property
    def reads(self) -> tuple[Region, ...]:
        return (self.region,)

    @property
    def writes(self) -> tuple[Region, ...]:
        return ()


Command = Launch | Multiply | Clear | CopyIn | CopyOut


@dataclass(frozen=True, slots=True)
class Signature:
    """A kernel's parameters as C declares them, the number of threads first."""

    kernel: str
    parameters: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What its parameters are called.

        >>> Signature("clear", (COUNT, "real *const restrict out")).names
        ('threads', 'out')
        """
        return tuple(parameter.replace("*", " ").split()[-1] for parameter in self.parameters)


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
    def section(self) -> dict[SectionName, tuple[Command, ...]]:
        return {section.name: section.commands for section in self.sections}

    @cached_property
    def bytes(self) -> int:
        """What all arrays take together."""
        return sum(array.bytes for array in self.arrays)

    def commands(self) -> Iterator[Command]:
        for section in self.sections:
            yield from section.commands

    def __str__(self) -> str:
        from graphbptt.codegen.launches.launch_text import (
            format_launches,  # written in terms of what is declared here
        )

        return format_launches(self)
