"""Which constraints contradict each other: sets from which none can be left out, by deleting one after another [1]_.

.. [1] J. W. Chinneck and E. W. Dravnieks, "Locating minimal infeasible constraint sets in linear programs", ORSA
   Journal on Computing 3(2), 1991, 157-168: the deletion filter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import Problem
from graphbptt.ir.constraints import Constraint
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.projection import Projection

__all__ = ["describe_clash"]

Array = npt.NDArray[Any]

INFEASIBLE = 2
"""What SciPy says of a linear program that has no solution."""


@dataclass(frozen=True, slots=True, eq=False)
class _Component:
    """Equations that hang together, over their free parameters: whose constraint each is, whose group each column."""

    matrix: Any
    right: Array
    owners: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    signs: npt.NDArray[np.int8]

    def is_feasible(self, constraints: set[int], groups: set[int]) -> bool:
        """Whether some numbers meet these constraints, and the signs of these groups."""
        from scipy import optimize  # slow to import, and only for those who contradict themselves

        rows = np.isin(self.owners, list(constraints))
        signs = np.where(np.isin(self.groups, list(groups)), self.signs, 0)
        bounds = np.stack([np.where(signs > 0, 0, -np.inf), np.where(signs < 0, 0, np.inf)], axis=1)
        count = self.matrix.shape[1]
        solve: Any = optimize.linprog  # its types leave out sparse matrices
        solved = solve(np.zeros(count), A_eq=self.matrix[rows], b_eq=self.right[rows], bounds=bounds)
        return bool(solved.status != INFEASIBLE)


def describe_clash(projection: Projection, layout: ParameterLayout, vector: Array) -> list[Problem]:
    """Problems where a projected vector does not meet all constraints: one for each of those that clash."""
    problems: dict[str, Problem] = {}
    for constraint, residual, equations in projection.find_unmet(vector):
        path = f"constraint {constraint.text}"
        component = int(projection.components[equations[0]])
        if path in problems:
            continue
        clash: list[Constraint] = [constraint]
        signed: list[str] = []
        if component >= 0:
            clash, signed = _find_clash(projection, layout, vector, component)
        if not clash:
            what = f"values that meet it are not found: the nearest are off by {residual:.3g}"
            problems[path] = Problem(path, what, "constrain fewer parameters, or leave out their signs")
        for one in clash:
            problems.setdefault(
                f"constraint {one.text}", _describe(one, clash, signed, projection.free, residual)
            )
    return list(problems.values())


def _describe(
    one: Constraint, clash: list[Constraint], signed: list[str], free: int, residual: float
) -> Problem:
    others = [other.text for other in clash if other is not one]
    others += [f"the sign of {name}" for name in signed]
    if one.columns.values.max() >= free:
        others.append("parameters that are not trained")
    said = f"it contradicts {' and '.join(others)}" if others else "no values meet it"
    return Problem(
        f"constraint {one.text}", f"{said}: the nearest values are off by {residual:.3g}", "mend one of them"
    )


def _find_clash(
    projection: Projection, layout: ParameterLayout, vector: Array, number: int
) -> tuple[list[Constraint], list[str]]:
    """Constraints of a component, and groups with signs, that clash, without any one that can be left out; empty where
    none is found."""
    component = _cut_out(projection, layout, vector, number)
    constraints = set(component.owners.tolist())
    groups = set(component.groups[component.signs != 0].tolist())
    if component.is_feasible(constraints, groups):
        return [], []
    for one in sorted(constraints):
        if not component.is_feasible(constraints - {one}, groups):
            constraints.remove(one)
    for one in sorted(groups):
        if not component.is_feasible(constraints, groups - {one}):
            groups.remove(one)
    return (
        [projection.constraints[one] for one in sorted(constraints)],
        [layout.slots[one].group for one in sorted(groups)],
    )


def _cut_out(projection: Projection, layout: ParameterLayout, vector: Array, number: int) -> _Component:
    rows = np.flatnonzero(projection.components == number)
    sizes = [constraint.size for constraint in projection.constraints]
    fixed = projection.matrix[:, projection.free :] @ vector[projection.free :].astype(np.float64)
    matrix = projection.matrix[rows][:, : projection.free].tocsr()
    columns = np.unique(matrix.indices)
    starts = np.array([slot.offset for slot in layout.slots])
    return _Component(
        matrix[:, columns],
        (projection.right - fixed)[rows],
        np.repeat(np.arange(len(sizes)), sizes)[rows],
        np.searchsorted(starts, columns, side="right") - 1,
        projection.signs[columns],
    )
