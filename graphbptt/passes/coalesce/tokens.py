"""Attributes -> what parts of a graph have in common, and the numbers and names in which they differ.

    said   := (token, number)        what was said of a parameter
    number := Number(tie, scale, init)

Two parts with equal tokens declare the same, but for a starting value (`init`, NaN where it is no number), and the name
and the scale of a tie. So one of them can be read for all, and the rest are columns of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Number", "Token", "freeze", "split_parameter", "split_value"]

Token = Hashable

NUMBER = "a number"
"""Stands in a token for a number, which is a column of its own."""

SIMPLE = frozenset({str, int, float, bool, type(None)})


class Number(NamedTuple):
    """What a parameter of one number says by itself."""

    tie: str | None = None
    scale: float = 1.0
    init: float = math.nan


def freeze(value: Any) -> Token:
    """Something hashable that is equal where the values are, and of one type."""
    kind = type(value)
    if kind in SIMPLE:
        return kind, value
    if isinstance(value, Mapping):
        return dict, frozenset((freeze(key), freeze(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return kind, tuple(map(freeze, value))
    if isinstance(value, np.ndarray):
        return kind, value.dtype.str, value.shape, value.tobytes()
    try:
        hash(value)
    except TypeError:
        return kind, id(value)  # of the graph, which holds it
    return kind, value


def read_number(value: Any) -> float | None:
    """A number, or an array of one number, as a float; None where it is something else."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number | list | tuple | np.ndarray):
        return None
    try:
        array = np.asarray(value)
        return float(array.item()) if array.size == 1 and array.dtype.kind in "iuf" else None
    except (ValueError, OverflowError):
        return None


def split_value(value: Any) -> tuple[Token, float]:
    """A value that may be a number: what kind of value, and the number."""
    number = read_number(value)
    if number is None:
        return freeze(value), math.nan
    return (type(value), NUMBER, np.shape(value)), number


def _is_of_number(token: Token) -> bool:
    return isinstance(token, tuple) and token[1] == NUMBER


def split_parameter(said: Mapping[str, Any]) -> tuple[Token, Number]:
    """What a parameter says, as `init`, `trainable`, `tie` and whatever else stands beside these.

    >>> split_parameter({"tie": {"group": "g", "scale": 2.0}, "init": 3}) == split_parameter({})
    False
    >>> split_parameter({"tie": {"group": "g", "scale": 2.0}, "init": 3})[1]
    Number(tie='g', scale=2.0, init=3.0)
    """
    token: list[Token] = []
    tie, scale, init = None, 1.0, math.nan
    for key, value in said.items():
        if key == "tie" and isinstance(value, str):
            tie = value
            token.append(("tie", str))
        elif key == "tie" and isinstance(value, Mapping) and isinstance(value.get("group"), str):
            tie = value["group"]
            kind, factor = split_value(value.get("scale", 1.0))
            scale = factor if _is_of_number(kind) else 1.0
            rest = {name: item for name, item in value.items() if name not in ("group", "scale")}
            token.append(("tie", kind, freeze(rest)))
        elif key == "init":
            kind, init = split_value(value)
            token.append(("init", kind))
        else:
            token.append((key, freeze(value)))
    return frozenset(token), Number(tie, scale, init)
