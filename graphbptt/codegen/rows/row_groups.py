"""The text of operations on rows that one thread can do for itself: at a column of a row, or for a whole row."""

from __future__ import annotations

from graphbptt.codegen.name_arguments import ROW, Arguments, Place
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.rows.columns import ColumnWriter
from graphbptt.codegen.rows.rows import RowOperation, RowWriter
from graphbptt.codegen.text import remark
from graphbptt.ir.operations import Softmax, SoftmaxGradient, View

__all__ = ["GroupWriter", "SequenceArguments", "count_columns"]


class SequenceArguments(Arguments):
    """Arguments for rows of whole sequences: no buffer is cut down to a block of steps."""

    def column(self, view: View, index: str, at: Place = ROW) -> str:
        return super().column(view, index, Place(at.row, at.row))


def count_columns(group: tuple[RowOperation, ...]) -> int:
    """How many threads share a row; a softmax takes one."""
    if isinstance(group[0], Softmax | SoftmaxGradient):
        return 1
    return max(write.view.width for operation in group for write in operation.writes())


class GroupWriter:
    """Writes groups, and collects the functions of the prelude that they call, and whether they draw noise."""

    def __init__(self, arguments: Arguments, precision: Precision, name: str) -> None:
        self.arguments = arguments
        self._rows = RowWriter(arguments, precision, name)
        self._columns = ColumnWriter(arguments, precision)

    @property
    def needs(self) -> set[str]:
        return self._rows.needs | self._columns.needs

    @property
    def noisy(self) -> bool:
        return self._columns.noisy

    def write(self, group: tuple[RowOperation, ...]) -> list[str]:
        """Statements that know ``row`` and, unless they are a softmax, ``j``; none where states are only copied to the
        memory in which they are."""
        columns, lines = count_columns(group), list[str]()
        for operation in group:
            if isinstance(operation, Softmax | SoftmaxGradient):
                lines += self._rows.write(operation)
            else:
                lines += self._columns.write(operation, columns)
        titles = remark(line for operation in group for line in self.arguments.explain(operation))
        return [*titles, *lines] if lines else []
