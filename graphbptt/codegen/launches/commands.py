"""What a device is told to do, one thing after the other.

    command  := Launch(kernel, threads, grid, block, arguments, reads, writes, shared)
              | Multiply(out, a, b, transpose_a, transpose_b, accumulate, count, steps)     out (+)= a @ b, count times
              | Clear(region)                           zeros
              | CopyIn(region) | CopyOut(region)        from, or to, the array's twin on the host, in pinned memory;
                                                        in sections of their own (`launches.order_copies`)
    argument := whole number | Address(array, offset) | None        None is NULL
    signature := Signature(kernel, parameters)          the C declarations of what a kernel takes

A kernel's first argument is always the number of its threads, one for each number of its result or for each row;
`launches.launch_kernel` makes the grid from it, and puts the others, which are given by name, in their order. `reads`
are what a command needs to find there, `writes` what it leaves, whatever its addresses are; a thread that adds to a
number reads it, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphbptt.codegen.launches.device_arrays import Address, Region

__all__ = [
    "COUNT",
    "THREADS",
    "ArgumentValue",
    "Clear",
    "Command",
    "CopyIn",
    "CopyOut",
    "Launch",
    "Multiply",
    "Signature",
]

THREADS = 256
"""The threads of a block."""

COUNT = "const ptrdiff_t threads"
"""What every kernel is given first."""

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
class _Fill:
    """Leaves numbers in a region, whatever any memory of the device holds."""

    region: Region

    @property
    def reads(self) -> tuple[Region, ...]:
        return ()

    @property
    def writes(self) -> tuple[Region, ...]:
        return (self.region,)


@dataclass(frozen=True, slots=True)
class Clear(_Fill):
    """Fills it with zeros."""


@dataclass(frozen=True, slots=True)
class CopyIn(_Fill):
    """Fills it with what the host has."""


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
