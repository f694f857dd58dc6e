"""The text of operations on rows that threads share: one does a column of a row, or a lane's part of a softmax."""

from __future__ import annotations

from typing import cast

from graphbptt.codegen.name_arguments import ROW, Arguments, Place
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.rows.columns import ColumnOperation, ColumnWriter
from graphbptt.codegen.rows.rows import RowOperation
from graphbptt.codegen.rows.softmax import SOFTMAX_NEEDS, write_softmax
from graphbptt.codegen.text import remark
from graphbptt.ir.operations import Softmax, SoftmaxGradient, View

__all__ = ["GroupWriter", "SequenceArguments", "count_columns", "has_lanes"]


class SequenceArguments(Arguments):
    """Arguments for rows of whole sequences: no buffer is cut down to a block of steps."""

    def column(self, view: View, index: str, at: Place = ROW) -> str:
        return super().column(view, index, Place(at.row, at.row))


def has_lanes(group: tuple[RowOperation, ...]) -> bool:
    """Whether the threads of a row are its lanes, which put together what they have: those of a softmax, which is
    always alone."""
    return isinstance(group[0], Softmax | SoftmaxGradient)


def count_columns(group: tuple[RowOperation, ...], lanes: int) -> int:
    """How many threads share a row, if as many `lanes` do where it has lanes."""
    if has_lanes(group):
        return lanes
    return max(write.view.width for operation in group for write in operation.writes())


class GroupWriter:
    """Writes groups, and collects the functions of the prelude that they call, whether they draw noise, and whether
    lanes are joined."""

    def __init__(self, arguments: Arguments, precision: Precision) -> None:
        self.arguments = arguments
        self._columns = ColumnWriter(arguments, precision)
        self.needs, self.joining = self._columns.needs, False

    @property
    def noisy(self) -> bool:
        return self._columns.noisy

    def write(self, group: tuple[RowOperation, ...]) -> list[str]:
        """Statements that know ``row`` and the column or lane ``j``; none where states are only copied to the memory in
        which they are."""
        lines = self._write_lanes(group) if has_lanes(group) else self._write_columns(group)
        titles = remark(line for operation in group for line in self.arguments.explain(operation))
        return [*titles, *lines] if lines else []

    def _write_lanes(self, group: tuple[RowOperation, ...]) -> list[str]:
        (operation,) = group
        assert isinstance(operation, Softmax | SoftmaxGradient), "no other operation has lanes"
        self.needs.update(SOFTMAX_NEEDS)
        self.joining = True
        return write_softmax(self.arguments, operation, lanes=True)

    def _write_columns(self, group: tuple[RowOperation, ...]) -> list[str]:
        columns = count_columns(group, lanes=0)
        operations = cast(tuple[ColumnOperation, ...], group)
        return [line for operation in operations for line in self._columns.write(operation, columns)]
