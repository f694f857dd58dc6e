"""The operations of a plan, on columns of its buffers.

    view       := View(buffer, start, stop, shift)      columns of a buffer, `shift` rows from the current step
    row        := Row(start, stop)                      a slice of the packed vector, the same at every step
    assignment := Assignment(out, expression, accumulate)
    operation  := Compute((assignment, ...))            out (+)= expression of views and rows, all in parallel
                | Product(out, source, matrix, transposed, accumulate)      out (+)= source @ W, or @ W.T
                | SparseProduct(out, source, block, transposed, accumulate)  the same with weights kept as entries
                | Perturb(out, population, scale, accumulate)       out (+)= scale * the population's noise
                | Restrain(population)                  set what is clamped, after the activation
                | Silence(slopes, population)           no derivative passes where states were set, or at padded steps
                | Contract(matrix, source, delta)       derivative of W: source.T @ delta over (time x batch)
                | SparseContract(block, source, delta)  the same at the entries of a sparse matrix alone
                | Reduce(row, expression)               derivative of a row: the sum over (time x batch)

The same operations serve a *batched* stage, where a view is a whole (time, batch, unit) block, and a *scanned* one,
where it is one step's (batch, unit) slice: only the binding of views to memory differs. A population's history rows lie
in front of its step 1 in the same buffer, so a delayed read is a view.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Expression, Load, leaves

__all__ = [
    "Assignment",
    "Compute",
    "Contract",
    "Operation",
    "Perturb",
    "Product",
    "Reduce",
    "Restrain",
    "Row",
    "Silence",
    "SparseContract",
    "SparseProduct",
    "View",
    "find_runs",
    "views_in",
    "views_of",
]


@dataclass(frozen=True, slots=True)
class View:
    """Columns [start, stop) of a buffer, `shift` rows later than the current step (earlier if negative)."""

    buffer: str
    start: int
    stop: int
    shift: int = 0

    @property
    def width(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        when = f"[t{self.shift:+d}]" if self.shift else ""
        return f"{self.buffer}{when}:{self.start}-{self.stop}"


@dataclass(frozen=True, slots=True)
class Row:
    """Columns [start, stop) of the packed vector: biases, coefficients, diagonal weights."""

    start: int
    stop: int

    @property
    def width(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return f"vector:{self.start}-{self.stop}"


@dataclass(frozen=True, slots=True)
class Assignment:
    """``out = expression``, or ``out += expression``; the expression's leaves are loads of views and rows."""

    out: View
    expression: Expression
    accumulate: bool = False

    def __str__(self) -> str:
        return f"{self.out} {'+=' if self.accumulate else '='} {self.expression}"


@dataclass(frozen=True, slots=True)
class Compute:
    """Element-wise assignments, each of one width; none reads what another of them writes.

    Where one writes what another adds to, the write comes first, whatever their order. A load may be narrower than its
    assignment's result: it is then repeated along it.
    """

    assignments: tuple[Assignment, ...]

    def __str__(self) -> str:
        return "compute " + "; ".join(map(str, self.assignments))


@dataclass(frozen=True, slots=True)
class Product:
    """``out (+)= source @ matrix``, or by its transpose, of which only as many columns as `out` has are needed."""

    out: View
    source: View
    matrix: str
    transposed: bool
    accumulate: bool

    def __str__(self) -> str:
        turned = ".T" if self.transposed else ""
        return f"product {self.out} {'+=' if self.accumulate else '='} {self.source} @ {self.matrix}{turned}"


@dataclass(frozen=True, slots=True)
class SparseProduct:
    """``out (+)= source @ block``, or by its transpose: the work is proportional to the block's entries."""

    out: View
    source: View
    block: str
    transposed: bool
    accumulate: bool

    def __str__(self) -> str:
        turned = ".T" if self.transposed else ""
        sign = "+=" if self.accumulate else "="
        return f"sparse product {self.out} {sign} {self.source} @ {self.block}{turned}"


@dataclass(frozen=True, slots=True)
class Perturb:
    """Noise of a population's net input, for whole sequences: ``scale`` times standard normal numbers."""

    out: View
    population: str
    scale: float
    accumulate: bool

    def __str__(self) -> str:
        return f"perturb {self.out} {'+=' if self.accumulate else '='} {self.scale:g} * noise of {self.population}"


@dataclass(frozen=True, slots=True)
class Restrain:
    """Put clamped values, and the initial state at padded steps, in place of a population's computed states."""

    population: str

    def __str__(self) -> str:
        return f"restrain {self.population}"


@dataclass(frozen=True, slots=True)
class Silence:
    """Zero these local derivatives at padded steps and, if a population is named, where its states were set."""

    slopes: tuple[View, ...]
    population: str | None = None

    def __str__(self) -> str:
        where = f" where {self.population} is restrained" if self.population else " at padded steps"
        return f"silence {', '.join(map(str, self.slopes))}{where}"


@dataclass(frozen=True, slots=True)
class Contract:
    """The derivative of a matrix, all steps and examples in one product: ``source.T @ delta``."""

    matrix: str
    source: View
    delta: View

    def __str__(self) -> str:
        return f"contract d{self.matrix} += {self.source}.T @ {self.delta}"


@dataclass(frozen=True, slots=True)
class SparseContract:
    """The derivative of a block's entries: ``source.T @ delta``, all steps and examples, there and nowhere else."""

    block: str
    source: View
    delta: View

    def __str__(self) -> str:
        return f"contract d{self.block} += {self.source}.T @ {self.delta} at its entries"


@dataclass(frozen=True, slots=True)
class Reduce:
    """The derivative of a slice of the packed vector: the expression summed over steps and examples."""

    row: Row
    expression: Expression

    def __str__(self) -> str:
        return f"reduce d{self.row} += sum {self.expression}"


Operation = (
    Compute | Product | SparseProduct | Perturb | Restrain | Silence | Contract | SparseContract | Reduce
)


def views_of(operation: Operation) -> Iterator[View]:
    """Every view an operation reads or writes."""
    if isinstance(operation, Compute):
        for item in operation.assignments:
            yield item.out
            yield from views_in(item.expression)
    elif isinstance(operation, Product | SparseProduct):
        yield from (operation.out, operation.source)
    elif isinstance(operation, Perturb):
        yield operation.out
    elif isinstance(operation, Contract | SparseContract):
        yield from (operation.source, operation.delta)
    elif isinstance(operation, Silence):
        yield from operation.slopes
    elif isinstance(operation, Reduce):
        yield from views_in(operation.expression)


def views_in(expression: Expression) -> Iterator[View]:
    """Every view an expression loads."""
    return (
        leaf.slot for leaf in leaves(expression) if isinstance(leaf, Load) and isinstance(leaf.slot, View)
    )


def find_runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The maximal runs of True, as (start, stop).

    >>> find_runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
