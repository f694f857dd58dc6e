"""The plan: what a backend needs and no more.

    plan      := Plan(network, layout, buffers, vector, matrices, placements, stages, losses, initials, clear,
                      blocks, storages, projection, precision)
    buffer    := Buffer(name, kind, stage, width, before, after, lanes, columns_of)     axes (lane, time, batch, unit)
    kind      := state | net | delta | netdelta | slope | saved
    vector    := (RowEntry(row, value), ...)                    biases, coefficients, diagonal weights, packed
    matrix    := Matrix(name, rows, columns, entries, net)      weights packed once per sequence
    entry     := MatrixEntry(owner, use, rows, columns, diagonal, constant, pattern)
    block     := SparseBlock(name, owner, use, rows, columns, pattern)      weights kept as entries, row by row
    storage   := StorageChoice(connection, storage, declared, dense, csr)    how a sparse connection is kept, and why
    stage     := Stage(mode, populations, forward, backward)
    sweep     := Sweep(before, each, after)                     whole-sequence operations around a loop over steps
    placement := Placement(population, stage, state, net, delta, net_delta, restrained)
    loss      := LossSite(term, predicted, delta, accumulate)   where a term of the loss reads, and adds to
    initial   := InitialSite(population, use, delta)            where a learned initial state's derivative is gathered
    clear     := Clear(view, rows)                              what of the deltas starts at zero

Operations, and the views and rows they work on, are in `graphbptt.ir.operations`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from graphbptt.ir.folded import FoldedNetwork, Storage
from graphbptt.ir.indices import Indices, Pattern
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.operations import Operation, Row, View
from graphbptt.ir.parameters import FrozenArray, Use
from graphbptt.ir.product_precision import ProductPrecision
from graphbptt.ir.projection import Projection
from graphbptt.ir.schedule import Mode

__all__ = [
    "EXPECTED_BATCH",
    "Buffer",
    "BufferKind",
    "Clear",
    "InitialSite",
    "LossSite",
    "Matrix",
    "MatrixEntry",
    "Placement",
    "Plan",
    "RowEntry",
    "Selection",
    "SparseBlock",
    "Stage",
    "StorageChoice",
    "Sweep",
]

EXPECTED_BATCH = 32
"""The batch size for which choices between ways to compute the same are made."""

Selection = range | tuple[int, ...]
"""Columns or rows of a matrix: a contiguous range, or an explicit list."""


BufferKind = Literal["state", "net", "delta", "netdelta", "slope", "saved"]
"""What a buffer holds: states, net inputs, the derivatives of the loss by states and by net inputs, the derivatives of
activations, and values of the forward sweep that these are computed from."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory with axes (time, batch, unit): `before` rows ahead of step 1, `after` rows behind the last step.

    Only one stage writes to it, except to a delta: to this, every stage that reads the states adds. `columns_of` names
    the buffer of states or of net inputs whose columns it repeats, if it is of another kind.

    Where products read several populations at once these lie side by side in the columns of each row. Elsewhere each
    may have a lane of its own, contiguous in memory, which element-wise work prefers: `lanes` of equal width, the
    columns counted through them all.
    """

    name: str
    kind: BufferKind
    stage: int
    width: int
    before: int = 0
    after: int = 0
    lanes: int = 1
    columns_of: str | None = None

    @property
    def lane_width(self) -> int:
        return self.width // self.lanes

    def mirror(self, kind: BufferKind, label: str = "") -> Buffer:
        """A buffer of another kind with the same rows and columns, named alike.

        >>> Buffer("state1.2", "state", 1, 8, before=3).mirror("slope", "0_")
        Buffer(name='slope0_1.2', kind='slope', stage=1, width=8, before=3, after=0, lanes=1, columns_of='state1.2')
        """
        name = f"{kind}{label}{self.name.removeprefix(self.kind)}"
        return replace(self, name=name, kind=kind, columns_of=self.name)


@dataclass(frozen=True, slots=True)
class MatrixEntry:
    """One connection's weights, or one population's bias, inside a packed matrix, at the crossings of `rows` and
    `columns`.

    A `diagonal` entry puts its values at (rows[i], columns[i]) only; where `use` is None they are all `constant`. A
    sparse one puts them where its `pattern`, which counts within `rows` and `columns`, has entries.
    """

    owner: str
    use: Use | None
    rows: Selection
    columns: Selection
    diagonal: bool = False
    constant: float = 1.0
    pattern: Pattern | None = None

    @property
    def is_block(self) -> bool:
        """Whether it fills a rectangle."""
        regular = isinstance(self.rows, range) and isinstance(self.columns, range)
        return regular and not self.diagonal and self.pattern is None

    def places(self) -> tuple[Indices, Indices]:
        """The rows and columns of its values, which index a matrix together: pairs, or a grid."""
        rows, columns = np.asarray(self.rows), np.asarray(self.columns)
        if self.pattern is not None:
            return rows[self.pattern.rows], columns[self.pattern.columns]
        return (rows, columns) if self.diagonal else (rows[:, None], columns)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Weights of one or more connections, packed once per sequence; `net` is the buffer its product adds to."""

    name: str
    rows: int
    columns: int
    entries: tuple[MatrixEntry, ...]
    net: str

    def uses(self) -> list[Use]:
        """The parameters that fill it."""
        return [entry.use for entry in self.entries if entry.use is not None]


@dataclass(frozen=True, slots=True)
class SparseBlock:
    """The weights of one sparse connection, kept as entries: row by row, each with its column (CSR).

    `rows` and `columns` are the units of the whole source and of the whole target, between which the `pattern` lies.
    """

    name: str
    owner: str
    use: Use
    rows: int
    columns: int
    pattern: Pattern

    def uses(self) -> list[Use]:
        """The parameter that fills it."""
        return [self.use]

    @property
    def density(self) -> float:
        return self.pattern.size / (self.rows * self.columns)

    def starts(self) -> Indices:
        """Where the entries of each row begin among all entries, and where the last ones end: rows + 1 numbers."""
        return np.searchsorted(self.pattern.rows, np.arange(self.rows + 1))


@dataclass(frozen=True, slots=True)
class StorageChoice:
    """How a sparse connection is kept, and the estimates that speak for it: the cost of a step in nanoseconds, forward
    and backward, as a `dense` matrix and as entries (`csr`); `declared` where the user chose."""

    connection: str
    storage: Storage
    declared: bool
    dense: float
    csr: float


@dataclass(frozen=True, slots=True)
class RowEntry:
    """A slice of the packed vector and what fills it: a use of a group (a scalar is repeated) or constants."""

    row: Row
    value: Use | FrozenArray


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
    """Where a term of the network's loss reads (`predicted`), and where its derivative goes, if anywhere.

    It is added there or, if it is the first to arrive and comes from all units, written: zero at the steps that have
    no target.
    """

    term: int
    predicted: View
    delta: View | None
    accumulate: bool = True


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
    before and behind them always do. `projection` keeps the parameters inside constraints and signs. `precision` is
    what products may round their factors to; those with entries of a sparse block round nothing.
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
    blocks: tuple[SparseBlock, ...] = ()
    storages: tuple[StorageChoice, ...] = ()
    projection: Projection | None = None
    precision: ProductPrecision = "full"

    @cached_property
    def buffer(self) -> dict[str, Buffer]:
        return {buffer.name: buffer for buffer in self.buffers}

    @cached_property
    def weights(self) -> dict[str, Matrix | SparseBlock]:
        """What products multiply by."""
        found: dict[str, Matrix | SparseBlock] = {matrix.name: matrix for matrix in self.matrices}
        return found | {block.name: block for block in self.blocks}

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
