"""The plan: what a backend needs and no more.

    plan    := Plan(network, layout, buffers, vector, matrices, placements, stages, losses, initials, clear)
    buffer  := Buffer(name, width, before, after, lanes)     axes (time, batch, unit), or (lane, time, batch, unit)
    view    := View(buffer, start, stop, shift)         columns of a buffer, `shift` rows from the current step
    row     := Row(start, stop)                         a slice of the packed vector, the same at every step
    matrix  := Matrix(name, rows, columns, entries)     weights packed once per sequence
    stage   := Stage(mode, populations, forward, backward)
    sweep   := Sweep(before, each, after)               operations on whole sequences around a loop over steps
    op      := Compute((assignment, ...))               out (+)= expression of views and rows, all in parallel
             | Product(out, source, matrix, transposed, accumulate)     out (+)= source @ W, or @ W.T
             | Restrain(population)                     set what is clamped, after the activation
             | Silence(slopes, population)              no derivative passes where states were set, or at padded steps
             | Contract(matrix, source, delta)          derivative of W: source.T @ delta over (time x batch)
             | Reduce(row, expression)                  derivative of a row: the sum over (time x batch)

The same operations serve a *batched* stage, where a view is a whole (time, batch, unit) block, and a *scanned* one,
where it is one step's (batch, unit) slice: only the binding of views to memory differs. A population's history rows lie
in front of its step 1 in the same buffer, so a delayed read is a view.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Expression, Load, leaves
from graphbptt.ir.folded import FoldedNetwork, FrozenArray, Use
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.schedule import Mode

__all__ = [
    "Assignment",
    "Buffer",
    "Clear",
    "Compute",
    "Contract",
    "InitialSite",
    "LossSite",
    "Matrix",
    "MatrixEntry",
    "Operation",
    "Placement",
    "Plan",
    "Product",
    "Reduce",
    "Restrain",
    "Row",
    "RowEntry",
    "Selection",
    "Silence",
    "Stage",
    "Sweep",
    "View",
    "find_runs",
    "views_in",
    "views_of",
]

Selection = range | tuple[int, ...]
"""Columns or rows of a matrix: a contiguous range, or an explicit list."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory with axes (time, batch, unit): `before` rows ahead of step 1, `after` rows behind the last step.

    Where products read several populations at once these lie side by side in the columns of each row. Elsewhere each
    may have a lane of its own, contiguous in memory, which element-wise work prefers: `lanes` of equal width, the
    columns counted through them all.
    """

    name: str
    width: int
    before: int = 0
    after: int = 0
    lanes: int = 1

    @property
    def lane_width(self) -> int:
        return self.width // self.lanes


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
class MatrixEntry:
    """One connection's weights, or one population's bias, inside a packed matrix, at the crossings of `rows` and
    `columns`.

    A `diagonal` entry puts its values at (rows[i], columns[i]) only; where `use` is None they are all `constant`.
    """

    owner: str
    use: Use | None
    rows: Selection
    columns: Selection
    diagonal: bool = False
    constant: float = 1.0


@dataclass(frozen=True, slots=True)
class Matrix:
    """Weights of one or more connections, packed once per sequence; `net` is the buffer its product adds to."""

    name: str
    rows: int
    columns: int
    entries: tuple[MatrixEntry, ...]
    net: str


@dataclass(frozen=True, slots=True)
class RowEntry:
    """A slice of the packed vector and what fills it: a use of a group (a scalar is repeated) or constants."""

    row: Row
    value: Use | FrozenArray


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
class Reduce:
    """The derivative of a slice of the packed vector: the expression summed over steps and examples."""

    row: Row
    expression: Expression

    def __str__(self) -> str:
        return f"reduce d{self.row} += sum {self.expression}"


Operation = Compute | Product | Restrain | Silence | Contract | Reduce


@dataclass(frozen=True, slots=True)
class Sweep:
    """One direction of a stage: whole-sequence operations, a loop over steps, whole-sequence operations.

    In iteration i an operation of `each` with phase p works on step i - p of the scan, if there is one. The forward
    sweep iterates in the stage's direction of time, the backward sweep against it.
    """

    before: tuple[Operation, ...] = ()
    each: tuple[tuple[int, Operation], ...] = ()
    after: tuple[Operation, ...] = ()

    def operations(self) -> Iterator[Operation]:
        yield from self.before
        for _, operation in self.each:
            yield operation
        yield from self.after


@dataclass(frozen=True, slots=True)
class Stage:
    """A component of the schedule and its two sweeps."""

    mode: Mode
    populations: tuple[str, ...]
    forward: Sweep
    backward: Sweep


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a population lives. `net`, `delta` (of the state) and `net_delta` are None where nothing needs them.

    `restrained` says that clamps or padding act inside the loop.
    """

    population: str
    stage: int
    state: View
    net: View | None
    delta: View | None
    net_delta: View | None
    restrained: bool


@dataclass(frozen=True, slots=True)
class LossSite:
    """Where a target of the network is read (`predicted`), and where its derivative is added, if anywhere."""

    target: int
    predicted: View
    delta: View | None


@dataclass(frozen=True, slots=True)
class Clear:
    """Columns of deltas that start at zero: at all steps or, if `rows` is not zero, only where a loop that writes
    `rows` ahead of its step leaves them out: the last steps if it writes into the past, else the first."""

    view: View
    rows: int = 0

    def __str__(self) -> str:
        where = (
            "all steps"
            if not self.rows
            else f"the {'last' if self.rows < 0 else 'first'} {abs(self.rows)} steps"
        )
        return f"clear {self.view} at {where}"


@dataclass(frozen=True, slots=True)
class InitialSite:
    """A learned initial state: its derivative is gathered from the history rows of `delta`."""

    population: str
    use: Use
    delta: View


@dataclass(frozen=True)
class Plan:
    """Everything a backend runs, in order. See the module's grammar.

    `clear` lists what of the deltas' steps 1 to T starts at zero, because what arrives there only adds to it. The rows
    before and behind them always do.
    """

    network: FoldedNetwork
    layout: ParameterLayout
    buffers: tuple[Buffer, ...]
    vector: tuple[RowEntry, ...]
    matrices: tuple[Matrix, ...]
    placements: tuple[Placement, ...]
    stages: tuple[Stage, ...]
    losses: tuple[LossSite, ...]
    initials: tuple[InitialSite, ...]
    clear: tuple[Clear, ...]

    @cached_property
    def buffer(self) -> dict[str, Buffer]:
        return {buffer.name: buffer for buffer in self.buffers}

    @cached_property
    def matrix(self) -> dict[str, Matrix]:
        return {matrix.name: matrix for matrix in self.matrices}

    @cached_property
    def placement(self) -> dict[str, Placement]:
        return {placement.population: placement for placement in self.placements}

    @cached_property
    def owner(self) -> dict[View, str]:
        """The population whose states a view holds at the current step."""
        return {placement.state: placement.population for placement in self.placements}

    @cached_property
    def residents(self) -> dict[str, tuple[Placement, ...]]:
        """The populations in each buffer of states."""
        residents: dict[str, list[Placement]] = {}
        for placement in self.placements:
            residents.setdefault(placement.state.buffer, []).append(placement)
        return {buffer: tuple(placements) for buffer, placements in residents.items()}

    @cached_property
    def row_value(self) -> dict[Row, Use | FrozenArray]:
        """What fills each slice of the packed vector."""
        return {entry.row: entry.value for entry in self.vector}

    @property
    def vector_width(self) -> int:
        return max((entry.row.stop for entry in self.vector), default=0)

    def __str__(self) -> str:
        from graphbptt.ir.plan_text import format_plan  # written in terms of what is declared here

        return format_plan(self)


def views_of(operation: Operation) -> Iterator[View]:
    """Every view an operation reads or writes."""
    if isinstance(operation, Compute):
        for item in operation.assignments:
            yield item.out
            yield from views_in(item.expression)
    elif isinstance(operation, Product):
        yield from (operation.out, operation.source)
    elif isinstance(operation, Contract):
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
