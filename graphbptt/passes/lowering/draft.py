"""A plan while its forward sweeps are made: the packed weights, and the net inputs of a stage, as they grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from graphbptt.ir.expression import Load, number
from graphbptt.ir.folded import Connection, FoldedNetwork
from graphbptt.ir.operations import Assignment, Compute, Operation, Row, View, find_runs
from graphbptt.ir.parameters import FrozenArray, Use
from graphbptt.ir.plan import Buffer, Matrix, MatrixEntry, RowEntry, Selection, SparseBlock
from graphbptt.passes.place_buffers import Site

__all__ = ["Draft", "NetInputs", "scale_use"]


@dataclass
class Draft:
    """Where everything is, and the packed vector, the matrices and the columns beside the states as they grow.

    The sparse connections in `in_rows` become blocks of entries instead of a part of a matrix. The states of
    `restrained` populations are set in places. `ones` are the columns of ones beside data, by their buffer;
    `ones_written` are those that some stage has filled.
    """

    network: FoldedNetwork
    sites: dict[str, Site]
    buffers: dict[str, Buffer]
    in_rows: frozenset[str]
    restrained: frozenset[str]
    blocks: list[SparseBlock] = field(default_factory=list)
    vector: list[RowEntry] = field(default_factory=list)
    matrices: list[Matrix] = field(default_factory=list)
    ones: dict[str, int] = field(default_factory=dict)
    ones_written: set[View] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.inbound: dict[str, list[Connection]] = {}
        for connection in self.network.connections:
            self.inbound.setdefault(connection.target, []).append(connection)

    def row(self, value: Use | FrozenArray, width: int) -> Load:
        """A new slice of the packed vector."""
        start = self.vector[-1].row.stop if self.vector else 0
        entry = RowEntry(Row(start, start + width), value)
        self.vector.append(entry)
        return Load(entry.row)

    def matrix(self, rows: int, out: View, entries: Sequence[MatrixEntry]) -> str:
        """A new packed matrix, whose product goes to `out`."""
        name = f"W{len(self.matrices)}"
        self.matrices.append(Matrix(name, rows, out.width, tuple(entries), out.buffer))
        return name

    def net_of(self, connection: Connection) -> View:
        """Where a connection arrives."""
        net = self.sites[connection.target].net
        if net is None:
            raise AssertionError(f"{connection.name}: its target has no net input")
        return net

    def extent(self, connection: Connection) -> tuple[Selection, Selection]:
        """The columns of the source's state buffer and of the target's net buffer that a connection uses."""
        return (
            _select(self.sites[connection.source].state, connection.from_units),
            _select(self.net_of(connection), connection.to_units),
        )

    def add_columns(self, buffer: str, stop: int) -> None:
        """Make room beside the states, up to column `stop`."""
        self.buffers[buffer] = replace(self.buffers[buffer], width=stop)


class NetInputs:
    """Which net inputs of a stage hold something already, and what must happen `before` the loop."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self.before: list[Operation] = []
        stops: dict[str, int] = {}
        for site in sites:
            if site.net is not None:
                stops[site.net.buffer] = max(site.net.stop, stops.get(site.net.buffer, 0))
        self._written = {name: np.zeros(stop, bool) for name, stop in stops.items()}

    def claim(self, view: View) -> bool:
        """Whether a write to these columns must accumulate; columns nothing has written yet are zeroed if it must."""
        columns = self._written[view.buffer][view.start : view.stop]
        accumulate = bool(columns.any())
        if accumulate and not columns.all():
            self.before[:0] = _zero(view.buffer, view.start, ~columns)
        columns[:] = True
        return accumulate

    def clear_rest(self) -> None:
        """Zero the columns at which nothing arrives at all."""
        for name, written in self._written.items():
            self.before.extend(_zero(name, 0, ~written))


def _zero(buffer: str, offset: int, flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterator[Operation]:
    for start, stop in find_runs(flags):
        yield Compute((Assignment(View(buffer, offset + start, offset + stop), number(0)),))


def scale_use(use: Use, factor: float) -> Use:
    return replace(use, scale=use.scale * factor)


def _select(view: View, units: tuple[int, ...] | None) -> Selection:
    if units is None:
        return range(view.start, view.stop)
    if units == tuple(range(units[0], units[0] + len(units))):
        return range(view.start + units[0], view.start + units[0] + len(units))
    return tuple(view.start + unit for unit in units)
