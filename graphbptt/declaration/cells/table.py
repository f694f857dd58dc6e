"""The cells that are shipped, by name: the options of each and the function that draws its body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphbptt.declaration.cells.body import Body, CellNode, CellOptions
from graphbptt.declaration.cells.clockwork import Clockwork, draw_clockwork
from graphbptt.declaration.cells.gru import Gru, draw_gru
from graphbptt.declaration.cells.leaky import Leaky, draw_leaky
from graphbptt.declaration.cells.lstm import Lstm, draw_lstm
from graphbptt.declaration.cells.rnn import Rnn, draw_rnn

__all__ = ["SHIPPED", "ShippedCell"]


@dataclass(frozen=True, slots=True)
class ShippedCell:
    """The options of a cell, and ``draw(options, node)``."""

    options: type[CellOptions]
    draw: Callable[[Any, CellNode], Body]


SHIPPED: Mapping[str, ShippedCell] = {
    "rnn": ShippedCell(Rnn, draw_rnn),
    "lstm": ShippedCell(Lstm, draw_lstm),
    "gru": ShippedCell(Gru, draw_gru),
    "leaky": ShippedCell(Leaky, draw_leaky),
    "clockwork": ShippedCell(Clockwork, draw_clockwork),
}
