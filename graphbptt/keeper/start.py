"""Starting values moved inside constraints and signs, and values given by someone checked against them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import Problem, SpecError
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.parameters import FrozenArray, Group
from graphbptt.ir.projection import Projection
from graphbptt.keeper.clash import describe_clash
from graphbptt.keeper.keeper import Keeper

__all__ = ["find_unmet", "find_vanishing", "start_inside"]

Array = npt.NDArray[Any]

ZERO = 1e-6
"""What counts as 0 where the numbers of a point are about 1."""


def start_inside(
    projection: Projection, network: FoldedNetwork, layout: ParameterLayout, vector: Array
) -> None:
    """Project starting values, those that were drawn as well as those that are one number.

    Raises
    ------
    SpecError
        Constraints contradict each other, signs or values that are fixed, or values given one by one do not meet them.
    """
    drawn = vector.copy()
    Keeper(projection, vector).apply()
    if problems := describe_clash(projection, layout, vector):
        raise SpecError(problems)
    moved = [
        name
        for name, group in network.group.items()
        if _is_given(group)
        and not np.allclose(layout.view(vector, name), layout.view(drawn, name), rtol=1e-5, atol=1e-6)
    ]
    if moved:
        remedy = f"mend the starting values of {', '.join(moved)}, or draw them: drawn values are projected"
        if problems := projection.describe_unmet(drawn, remedy):
            raise SpecError(problems)


def find_vanishing(projection: Projection, layout: ParameterLayout, vector: Array) -> list[str]:
    """The trainable groups of which constraints and signs leave nothing but 0, given the fixed values of a vector.

    A point drawn at random among those of the right signs lies nearest to 0 only where 0 is all there is.
    """
    generator = np.random.default_rng(0)
    signs = np.where(projection.signs == 0, generator.choice((-1, 1), projection.free), projection.signs)
    point = vector.astype(np.float64)
    point[: projection.free] = signs * generator.uniform(1, 2, projection.free)
    Keeper(projection, point).apply()
    return [
        slot.group
        for slot in layout.slots
        if slot.offset < slot.stop <= layout.free and np.abs(point[slot.offset : slot.stop]).max() < ZERO
    ]


def _is_given(group: Group) -> bool:
    return isinstance(group.init, FrozenArray) and group.init.values.ndim > 0


def find_unmet(
    projection: Projection, network: FoldedNetwork, layout: ParameterLayout, vector: Array
) -> list[Problem]:
    """A problem for every constraint that a vector does not meet, and for every group with a wrong sign."""
    problems = projection.describe_unmet(vector, "assign values that meet it: only updates are projected")
    for group in network.groups:
        if group.signs is None:
            continue
        values = layout.view(vector, group.name)
        wrong = values[values * group.signs.values < 0]
        if wrong.size:
            owners = ", ".join(_list_owners(network, group.name)[:3])
            what = f"{wrong.size} of its numbers have the wrong sign, the first {wrong[0]:g}: {owners}"
            remedy = "assign values with the signs of the connections: only updates are projected"
            problems.append(Problem(f"parameters[{group.name!r}]", what, remedy))
    return problems


def _list_owners(network: FoldedNetwork, group: str) -> list[str]:
    return [
        f"{connection.name} is {connection.sign}"
        for connection in network.connections
        if connection.weight is not None and connection.weight.group == group and connection.sign is not None
    ]
