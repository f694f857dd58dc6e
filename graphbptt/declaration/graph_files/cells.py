"""The cells of a table -> numbers, truth values and text.

A column outside the language is of one kind: of numbers, if all its cells are. In a column that is a key of the
language each cell stands for itself. An empty cell says nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import get_args

from pydantic import ValidationError

from graphbptt.declaration.mistakes import Mistake, describe_mistakes
from graphbptt.declaration.network_schema import ConnectionDeclaration, NodeDeclaration
from graphbptt.ir.folded import ConnectionKind

__all__ = ["Cell", "find_mistakes", "read_cells"]

Cell = int | float | bool | str | None
Keys = type[NodeDeclaration] | type[ConnectionDeclaration]

WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]{0,300})", re.ASCII)
REAL = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
"""Numbers; with zeros in front they are the name of something."""

WORDS: dict[str, bool | None] = {"": None, "true": True, "false": False}

NUMBERS = ("init", "weight")
"""The keys of edges of which any finite number will do; a weight that is a number is a starting value."""

OF_THE_WHOLE = ("activation", "cell")
"""The keys whose values depend on what else there is; these are checked where the graph is folded."""


def read_cells(texts: Sequence[str], alone: bool) -> list[Cell]:
    """The values of a column; `alone` where each cell is to be read by itself.

    >>> read_cells(["1", "", "2.5"], alone=False)
    [1, None, 2.5]
    >>> read_cells(["1", "true", "L1"], alone=False)
    ['1', 'true', 'L1']
    >>> read_cells(["1", "true", "learned"], alone=True)
    [1, True, 'learned']
    """
    distinct = {text: _read_cell(text.strip()) for text in set(texts)}
    if not alone and any(isinstance(value, str) for value in distinct.values()):
        distinct = {text: text.strip() or None for text in distinct}
    return [distinct[text] for text in texts]


def _read_cell(text: str) -> Cell:
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if WHOLE.fullmatch(text):
        return int(text)
    return float(text) if REAL.fullmatch(text) else text


def find_mistakes(model: Keys, key: str, values: Sequence[Cell]) -> Iterator[tuple[int, Mistake]]:
    """What is wrong with a column: for each value that cannot stand there, the first row that has it."""
    distinct = dict.fromkeys(() if key in OF_THE_WHOLE else values)
    distinct.pop(None, None)
    for value in distinct:
        mistake = _judge(model, key, value)
        if mistake is not None:
            count = sum(other == value for other in values)
            what = mistake.what + (f" ({count:,} rows)" if count > 1 else "")
            yield values.index(value), Mistake((), what, mistake.instead)


def _judge(model: Keys, key: str, value: Cell) -> Mistake | None:
    if isinstance(value, float) and not math.isfinite(value):
        return Mistake((), "the number is NaN or infinite", "write a finite one, below 1.8e308")
    if model is ConnectionDeclaration and key in NUMBERS and not isinstance(value, str | bool):
        return None
    if model is ConnectionDeclaration and key == "weight" and value not in get_args(ConnectionKind):
        return Mistake((), f"{value!r} is no number", "write the number that the weight starts with")
    try:
        model.model_validate({key: value})
    except ValidationError as error:
        return describe_mistakes(error, model, {key: value})[0]
    return None
