"""The names of groups of edges, made of what their edges have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphbptt.errors import Problem

__all__ = ["name_groups"]


def name_groups(values: Sequence[tuple[Any, ...]], joint: str, problems: list[Problem]) -> list[str]:
    """A name for each tuple of values, equal ones by one name, others by different ones.

    >>> name_groups([("E", "I"), ("Mi1.left", 3), ("E", "I")], ":", [])
    ['E:I', 'Mi1_left:3', 'E:I']
    """
    names = {value: joint.join(map(_free_name, value)) for value in dict.fromkeys(values)}
    taken: dict[str, tuple[Any, ...]] = {}
    for value, name in names.items():
        other = taken.setdefault(name, value)
        if other is not value:
            what = f"the groups of {_show(other)} and of {_show(value)} would both be called {name!r}"
            problems.append(Problem("network.ties_by", what, "rename one of these values"))
    return [names[value] for value in values]


def _free_name(value: object) -> str:
    """A value without the signs by which the names of parameters are told from those of groups."""
    return str(value).replace("->", "_").replace(".", "_")


def _show(value: tuple[Any, ...]) -> str:
    return f"({', '.join(map(str, value))})"
