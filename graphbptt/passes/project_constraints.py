"""Constraints of a folded network -> the projection onto the parameters that meet them.

The equations fall into connected components that share no free parameter; each has a small matrix of its own, whose
pseudo-inverse (by singular values, so that redundant equations do no harm) is a block of one sparse matrix. The
nearest point of the affine set ``A @ x == b`` is then ``x - pinv(A) @ (A @ x - b)``: from a point inside it, that is
the orthogonal projection of an update; from any other it takes away what rounding has left behind as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from graphbptt.errors import Problem, SpecError
from graphbptt.ir.constraints import Constraint, stack_constraints
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.parameters import FrozenArray, Group

__all__ = ["Projection", "project_constraints"]

Array = npt.NDArray[Any]
LARGEST_COMPONENT = 20_000_000
"""Numbers in the dense matrix of equations by parameters of one component."""
LARGEST_WORK = 10_000_000_000
"""Multiplications, in order of size, that the pseudo-inverse of one component may take."""
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
"""How far from met an equation may be, relative to the size of its terms."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """All equations over the flat vector, and the pseudo-inverse of their part over the `free` parameters."""

    constraints: tuple[Constraint, ...]
    free: int
    matrix: sparse.csr_array
    right: npt.NDArray[np.float64]
    inverse: sparse.csr_array

    def apply(self, vector: Array) -> None:
        """Move the free parameters of the vector, in place, to the nearest point that meets the constraints."""
        step = self.inverse @ self.measure(vector)
        vector[: self.free] -= step.astype(vector.dtype)

    def measure(self, vector: Array) -> npt.NDArray[np.float64]:
        """The residual ``A @ x - b`` of every equation, in float64."""
        residual: npt.NDArray[np.float64] = self.matrix @ vector.astype(np.float64) - self.right
        return residual

    def find_unmet(self, vector: Array, instead: str) -> list[Problem]:
        """A problem for each constraint that the vector does not meet, with its largest residual."""
        residual = np.abs(self.measure(vector))
        scale = abs(self.matrix) @ np.abs(vector.astype(np.float64)) + np.abs(self.right)
        unmet = residual > TOLERANCE[vector.dtype.name] * np.maximum(scale, 1)
        problems, start = [], 0
        for constraint in self.constraints:
            part = slice(start, start := start + constraint.size)
            if unmet[part].any():
                what = f"the values do not meet it: it is off by {residual[part].max():.3g}"
                problems.append(Problem(f"constraint {constraint.text}", what, instead))
        return problems

    def start(self, vector: Array, layout: ParameterLayout, groups: dict[str, Group]) -> None:
        """Project starting values, those that were drawn as well as those that are one number.

        Raises
        ------
        SpecError
            Constraints contradict each other or values that are fixed, or values given one by one do not meet them.
        """
        drawn = vector.copy()
        self.apply(vector)
        self.apply(vector)  # the first leaves the rounding of large values
        problems = self.find_unmet(
            vector, "it contradicts the other constraints named, or parameters that are not trained"
        )
        given = [name for name, group in groups.items() if _is_given(group)]
        moved = [
            name
            for name in given
            if not np.allclose(layout.view(vector, name), layout.view(drawn, name), rtol=1e-5, atol=1e-6)
        ]
        if moved and not problems:
            remedy = (
                f"mend the starting values of {', '.join(moved)}, or draw them: drawn values are projected"
            )
            problems = self.find_unmet(drawn, remedy)
        if problems:
            raise SpecError(problems)


def _is_given(group: Group) -> bool:
    return isinstance(group.init, FrozenArray) and group.init.values.ndim > 0


def project_constraints(constraints: tuple[Constraint, ...], layout: ParameterLayout) -> Projection | None:
    """The projection onto the constraints; None where there are none.

    Raises
    ------
    SpecError
        A component is too large for its pseudo-inverse; its size is said.
    """
    if not constraints:
        return None
    matrix, right = stack_constraints(constraints, layout.size)
    free = matrix[:, : layout.free].tocsr()
    return Projection(constraints, layout.free, matrix, right, _invert(free, constraints))


def _invert(matrix: sparse.csr_array, constraints: tuple[Constraint, ...]) -> sparse.csr_array:
    """The pseudo-inverse, component by component; those of one shape are inverted together."""
    equations, parameters = matrix.shape
    entries = matrix.tocoo()
    size = equations + parameters
    both = sparse.csr_array(
        (np.ones(entries.nnz), (entries.row, entries.col + equations)), shape=(size, size)
    )
    _, labels = connected_components(both, directed=False)
    rows, row_starts, row_counts = _group_by(labels[:equations], labels.max() + 1)
    columns, column_starts, column_counts = _group_by(labels[equations:], labels.max() + 1)
    shapes = np.stack([row_counts, column_counts], axis=1)
    _check_sizes(shapes, labels, constraints)
    data, inverse_rows, inverse_columns = [], [], []
    place = np.empty(parameters, np.int64)  # the place of a parameter in its component
    place[columns] = np.arange(parameters) - np.repeat(column_starts, column_counts)
    row_place = np.empty(equations, np.int64)
    row_place[rows] = np.arange(equations) - np.repeat(row_starts, row_counts)
    for shape in np.unique(shapes[(shapes > 0).all(axis=1)], axis=0):
        members = np.flatnonzero((shapes == shape).all(axis=1))
        number = np.full(labels.max() + 1, -1)
        number[members] = np.arange(len(members))
        mine = number[labels[:equations][entries.row]] >= 0
        row, column, value = entries.row[mine], entries.col[mine], entries.data[mine]
        blocks = np.zeros((len(members), *shape))
        blocks[number[labels[:equations][row]], row_place[row], place[column]] = value
        inverses = np.linalg.pinv(blocks, rcond=1e-12)
        their_rows = rows[row_starts[members][:, None] + np.arange(shape[0])]
        their_columns = columns[column_starts[members][:, None] + np.arange(shape[1])]
        data.append(inverses.ravel())
        inverse_rows.append(np.broadcast_to(their_columns[:, :, None], inverses.shape).ravel())
        inverse_columns.append(np.broadcast_to(their_rows[:, None, :], inverses.shape).ravel())
    if not data:  # every parameter in the constraints is fixed
        return sparse.csr_array((parameters, equations))
    positions = (np.concatenate(inverse_rows), np.concatenate(inverse_columns))
    return sparse.csr_array((np.concatenate(data), positions), shape=(parameters, equations))


def _group_by(labels: Array, count: int) -> tuple[Array, Array, Array]:
    """The indices ordered by label, and where each label's begin, and how many it has."""
    counts = np.bincount(labels, minlength=count)
    return np.argsort(labels, kind="stable"), np.cumsum(counts) - counts, counts


def _check_sizes(shapes: Array, labels: Array, constraints: tuple[Constraint, ...]) -> None:
    sizes = shapes.astype(np.float64).prod(axis=1)
    large = (sizes > LARGEST_COMPONENT) | (sizes * shapes.min(axis=1) > LARGEST_WORK)
    problems, start = [], 0
    for constraint in constraints:
        mine = labels[start : (start := start + constraint.size)]
        if large[mine].any():
            equations, parameters = shapes[mine[large[mine]][0]]
            what = (
                f"{equations:,} equations hang together over {parameters:,} parameters, too many to project"
            )
            problems.append(Problem(f"constraint {constraint.text}", what, "constrain fewer, or use ties"))
    if problems:
        raise SpecError(problems)
