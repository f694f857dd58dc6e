"""The starting values of groups of edges: what their edges say is what the shared weight starts with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from graphbptt.declaration.edge_ties.listed_edges import ListedEdges
from graphbptt.declaration.values import is_finite, read_init
from graphbptt.errors import Problem
from graphbptt.ir.initializers import DISTRIBUTIONS
from graphbptt.ir.parameters import FrozenArray, Initializer

__all__ = ["share_inits"]


def share_inits(
    edges: ListedEdges, groups: Sequence[str], scales: Sequence[float], problems: list[Problem]
) -> None:
    """Give the edges of a group its starting value, multiplied by their scales.

    A number is given to all of them, so that they stay alike; a distribution to the first that says one.
    """
    first: dict[str, int] = {}
    shared: dict[str, Any] = {}
    unlike: list[int] = []
    for row, (group, attributes) in enumerate(zip(groups, edges.attributes, strict=True)):
        init = attributes.pop("init", None)
        if init is None:
            continue
        if group not in first:
            first[group], shared[group] = row, init
        elif init is not shared[group] and not _are_equal(init, shared[group]):
            unlike.append(row)
    numbers = {group: init for group, init in shared.items() if is_finite(init)}
    for row, (group, attributes) in enumerate(zip(groups, edges.attributes, strict=True)):
        if group in numbers:
            attributes["init"] = numbers[group] * scales[row]
        elif row == first.get(group):
            attributes["init"] = _scale(shared[group], scales[row])
    if unlike:
        shown = edges.show(unlike, lambda row: f" (of {groups[row]})")
        what = f"{len(unlike):,} edges start otherwise than the group they are tied into: {shown}"
        remedy = "write the same init, or use these numbers as a factor: factors: [weight]"
        problems.append(Problem("network.ties_by", what, remedy))


def _are_equal(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    try:
        return bool(read_init(one) == read_init(other))
    except PydanticCustomError:
        return False


def _scale(init: Any, scale: float) -> Any:
    """A starting value times a number; one that is none is left for the fold to judge."""
    try:
        read = read_init(init)
    except PydanticCustomError:
        return init
    if isinstance(read, FrozenArray):
        return FrozenArray(read.values * scale)
    if scale == 1 or not isinstance(read, Initializer):
        return init
    numbers = DISTRIBUTIONS[read.name].scale(dict(read.arguments), scale)
    return Initializer(read.name, tuple(numbers.items()))
