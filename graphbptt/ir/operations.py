"""The operations of a plan, on columns of its buffers.

    view       := View(buffer, start, stop, shift)      columns of a buffer, `shift` rows from the current step
    row        := Row(start, stop)                      a slice of the packed vector, the same at every step
    assignment := Assignment(out, expression, accumulate)
    operation  := Compute((assignment, ...))            out (+)= expression of views and rows, all in parallel
                | Product(out, source, weights, transposed, accumulate)     out (+)= source @ W, or @ W.T
                | Softmax(out, source)                  out = exp(source) / sum exp(source), over the units
                | SoftmaxGradient(out, delta, slopes, probabilities, accumulate)    its derivative, by the source
                | Perturb(out, population, scale, accumulate)       out (+)= scale * the population's noise
                | Restrain(state, population)           set what is clamped, after the activation
                | Silence(slopes, population)           no derivative passes where states were set, or at padded steps
                | Contract(weights, source, delta)      derivative of W: source.T @ delta over (time x batch)
                | Reduce(row, expression)               derivative of a row: the sum over (time x batch)
    access     := Write(view, how, value)               what an operation `writes`; what it `reads` are views

The weights of a product are a packed matrix, or a block of entries (CSR): the plan's `weights` says which. The
derivative of a block is taken at its entries alone.

The same operations serve a *batched* stage, where a view is a whole (time, batch, unit) block, and a *scanned* one,
where it is one step's (batch, unit) slice: only the binding of views to memory differs. A population's history rows lie
in front of its step 1 in the same buffer, so a delayed read is a view.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

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
    "Softmax",
    "SoftmaxGradient",
    "View",
    "Write",
    "find_runs",
    "settle",
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
class Write:
    """Columns that an operation sets whatever they held, adds to, or changes in a way that depends on what they held.

    `value` is what is written, where that is an expression.
    """

    view: View
    how: Literal["set", "add", "change"]
    value: Expression | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """``out = expression``, or ``out += expression``; the expression's leaves are loads of views and rows.

    One that reads what it writes replaces it in place: slopes turn into deltas in this way.
    """

    out: View
    expression: Expression
    accumulate: bool = False

    @property
    def replaces(self) -> bool:
        return self.out in views_in(self.expression)

    def writes(self) -> Write:
        how = _how(self.accumulate)
        return Write(self.out, "change" if self.replaces else how, self.expression)

    def __str__(self) -> str:
        return f"{self.out} {'+=' if self.accumulate else '='} {self.expression}"


@dataclass(frozen=True, slots=True)
class Compute:
    """Element-wise assignments, each of one width; none reads what another of them writes.

    Where one writes what another adds to, the write comes first, whatever their order. A load may be narrower than its
    assignment's result: it is then repeated along it.
    """

    assignments: tuple[Assignment, ...]

    def reads(self) -> tuple[View, ...]:
        return tuple(
            view for item in self.assignments for view in views_in(item.expression) if view != item.out
        )

    def writes(self) -> tuple[Write, ...]:
        return tuple(item.writes() for item in self.assignments)

    def __str__(self) -> str:
        return "compute " + "; ".join(map(str, self.assignments))


@dataclass(frozen=True, slots=True)
class Product:
    """``out (+)= source @ weights``, or by their transpose, of which only as many columns as `out` has are needed.

    The work of a matrix is proportional to its size, that of a block to its entries.
    """

    out: View
    source: View
    weights: str
    transposed: bool
    accumulate: bool

    def reads(self) -> tuple[View, ...]:
        return (self.source,)

    def writes(self) -> tuple[Write, ...]:
        return (Write(self.out, _how(self.accumulate)),)

    def __str__(self) -> str:
        turned = ".T" if self.transposed else ""
        return f"product {self.out} {'+=' if self.accumulate else '='} {self.source} @ {self.weights}{turned}"


@dataclass(frozen=True, slots=True)
class Softmax:
    """``out = exp(source) / sum exp(source)`` over the units of one population, of each example by itself."""

    out: View
    source: View

    def reads(self) -> tuple[View, ...]:
        return (self.source,)

    def writes(self) -> tuple[Write, ...]:
        return (Write(self.out, "set"),)

    def __str__(self) -> str:
        return f"softmax {self.out} = softmax {self.source}"


@dataclass(frozen=True, slots=True)
class SoftmaxGradient:
    """The derivative by the source of a softmax: with ``a = slopes * delta``, ``out (+)= a - probabilities * sum a``.

    The slopes are the probabilities, but zero where a state was set: what arrives there is no derivative of a softmax,
    though its net input still is one of those that all probabilities depend on.
    """

    out: View
    delta: View
    slopes: View
    probabilities: View
    accumulate: bool

    def reads(self) -> tuple[View, ...]:
        return (self.delta, self.slopes, self.probabilities)

    def writes(self) -> tuple[Write, ...]:
        return (Write(self.out, _how(self.accumulate)),)

    def __str__(self) -> str:
        sign = "+=" if self.accumulate else "="
        return f"softmax gradient {self.out} {sign} a - {self.probabilities} * sum a, a = {self.slopes} * {self.delta}"


@dataclass(frozen=True, slots=True)
class Perturb:
    """Noise of a population's net input, for whole sequences: ``scale`` times standard normal numbers."""

    out: View
    population: str
    scale: float
    accumulate: bool

    def reads(self) -> tuple[View, ...]:
        return ()

    def writes(self) -> tuple[Write, ...]:
        return (Write(self.out, _how(self.accumulate)),)

    def __str__(self) -> str:
        return f"perturb {self.out} {'+=' if self.accumulate else '='} {self.scale:g} * noise of {self.population}"


@dataclass(frozen=True, slots=True)
class Restrain:
    """Put clamped values, and the initial state at padded steps, in place of a population's computed states."""

    state: View
    population: str

    def reads(self) -> tuple[View, ...]:
        return ()

    def writes(self) -> tuple[Write, ...]:
        return (Write(self.state, "change"),)

    def __str__(self) -> str:
        return f"restrain {self.population}"


@dataclass(frozen=True, slots=True)
class Silence:
    """Zero these local derivatives at padded steps and, if a population is named, where its states were set."""

    slopes: tuple[View, ...]
    population: str | None = None

    def reads(self) -> tuple[View, ...]:
        return ()

    def writes(self) -> tuple[Write, ...]:
        return tuple(Write(slope, "change") for slope in self.slopes)

    def __str__(self) -> str:
        where = f" where {self.population} is restrained" if self.population else " at padded steps"
        return f"silence {', '.join(map(str, self.slopes))}{where}"


@dataclass(frozen=True, slots=True)
class Contract:
    """The derivative of a matrix, all steps and examples in one product: ``source.T @ delta``; that of a block is
    taken at its entries and nowhere else."""

    weights: str
    source: View
    delta: View

    def reads(self) -> tuple[View, ...]:
        return (self.source, self.delta)

    def writes(self) -> tuple[Write, ...]:
        return ()

    def __str__(self) -> str:
        return f"contract d{self.weights} += {self.source}.T @ {self.delta}"


@dataclass(frozen=True, slots=True)
class Reduce:
    """The derivative of a slice of the packed vector: the expression summed over steps and examples."""

    row: Row
    expression: Expression

    def reads(self) -> tuple[View, ...]:
        return tuple(views_in(self.expression))

    def writes(self) -> tuple[Write, ...]:
        return ()

    def __str__(self) -> str:
        return f"reduce d{self.row} += sum {self.expression}"


Operation = Compute | Product | Softmax | SoftmaxGradient | Perturb | Restrain | Silence | Contract | Reduce


def _how(accumulate: bool) -> Literal["set", "add"]:
    return "add" if accumulate else "set"


def settle(operation: Operation, accumulate: Iterator[bool]) -> Operation:
    """The operation with the next flags, one for each of its writes that set or add."""
    if isinstance(operation, Product | SoftmaxGradient | Perturb):
        return replace(operation, accumulate=next(accumulate))
    if isinstance(operation, Compute):
        return Compute(
            tuple(
                item if item.replaces else replace(item, accumulate=next(accumulate))
                for item in operation.assignments
            )
        )
    return operation


def views_of(operation: Operation) -> Iterator[View]:
    """Every view an operation reads or writes."""
    yield from operation.reads()
    for write in operation.writes():
        yield write.view


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
