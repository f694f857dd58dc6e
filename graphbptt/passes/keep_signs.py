"""Signs of the groups of a network -> bounds of the free parameters, which every update is clipped to.

Clipping at zero moves an update to the nearest point with the right signs; a weight that is clipped stays at zero until
its derivative points away from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import Problem, SpecError
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import ParameterLayout

__all__ = ["SignBounds", "bound_signs", "find_wrong_signs", "refuse_bound_constraints"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class SignBounds:
    """The least and the greatest value, 0 or infinite, of the parameters in `part` of the flat vector.

    >>> vector = np.array([1.0, -2.0, 3.0, 4.0])
    >>> SignBounds(slice(1, 3), np.array([0, -np.inf]), np.array([np.inf, 0])).apply(vector)
    >>> vector.tolist()
    [1.0, 0.0, 0.0, 4.0]
    """

    part: slice
    lower: Array
    upper: Array

    def apply(self, vector: Array) -> None:
        """Clip the parameters in place."""
        part = vector[self.part]
        np.maximum(part, self.lower, out=part)
        np.minimum(part, self.upper, out=part)


def bound_signs(network: FoldedNetwork, layout: ParameterLayout, dtype: npt.DTypeLike) -> SignBounds | None:
    """The bounds of the free parameters, in the type of the vector; None where all may have any sign."""
    signed = [
        slot
        for slot in layout.slots
        if slot.stop <= layout.free and network.group[slot.group].signs is not None
    ]
    if not signed:
        return None
    part = slice(min(slot.offset for slot in signed), max(slot.stop for slot in signed))
    lower, upper = (np.full(part.stop - part.start, bound, dtype) for bound in (-np.inf, np.inf))
    for slot in signed:
        signs = network.group[slot.group].signs
        if signs is not None:
            own = slice(slot.offset - part.start, slot.stop - part.start)
            each = np.broadcast_to(signs.values, slot.shape).ravel()
            lower[own][each > 0] = 0
            upper[own][each < 0] = 0
    return SignBounds(part, lower, upper)


def find_wrong_signs(network: FoldedNetwork, layout: ParameterLayout, vector: Array) -> list[Problem]:
    """A problem for every group some of whose numbers have the wrong sign."""
    problems = []
    for group in network.groups:
        if group.signs is None:
            continue
        values = layout.view(vector, group.name)
        wrong = values[values * group.signs.values < 0]
        if wrong.size:
            owners = [
                f"{connection.name} is {connection.sign}"
                for connection in network.connections
                if connection.sign is not None and connection.weight is not None
                if connection.weight.group == group.name
            ]
            what = f"{wrong.size} of its numbers have the wrong sign, the first {wrong[0]:g}: {', '.join(owners[:3])}"
            remedy = "assign values with the signs of the connections: only updates are clipped"
            problems.append(Problem(f"parameters[{group.name!r}]", what, remedy))
    return problems


def refuse_bound_constraints(network: FoldedNetwork, layout: ParameterLayout) -> None:
    """Constraints between parameters of which some have a sign are not kept.

    Raises
    ------
    SpecError
        There are some; names them.
    """
    problems = []
    signed = [slot for slot in layout.slots if network.group[slot.group].signs is not None]
    for constraint in network.constraints:
        columns = constraint.columns.values
        for slot in signed:
            if ((columns >= slot.offset) & (columns < slot.stop)).any():
                what = f"it constrains {slot.group}, which has a sign as well"
                remedy = "leave out the sign, or the constraint"
                problems.append(Problem(f"constraint {constraint.text}", what, remedy))
                break
    if problems:
        raise SpecError(problems)
