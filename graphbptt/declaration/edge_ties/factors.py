"""The factors of edges, multiplied into the scales of their ties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.edge_ties.listed_edges import ListedEdges
from graphbptt.declaration.values import is_finite
from graphbptt.errors import Problem, did_you_mean

__all__ = ["multiply_factors"]


def multiply_factors(
    edges: ListedEdges, factors: Sequence[str], problems: list[Problem]
) -> npt.NDArray[np.float64]:
    """The product of the factors of every edge; 1 without factors."""
    scales = np.ones(len(edges))
    for name in factors:
        scales *= _read_factor(edges, name, problems)
    empty = np.flatnonzero((scales == 0) | ~np.isfinite(scales)).tolist()
    if empty:
        what = (
            f"the factors multiply to 0 or to no finite number at {len(empty):,} edges: {edges.show(empty)}"
        )
        problems.append(Problem("network.factors", what, "leave these edges out of the graph"))
    return scales


def _read_factor(edges: ListedEdges, name: str, problems: list[Problem]) -> npt.NDArray[np.float64]:
    """A factor of every edge; 1 where it is none, with the reasons noted."""
    column = edges.column(name)
    numbers = _read_numbers(column)
    if numbers is not None:
        return numbers
    wrong = [row for row, value in enumerate(column) if not (isinstance(value, bool) or is_finite(value))]
    if not wrong:  # whole numbers that no integer of NumPy's holds
        return np.array([float(value) for value in column])
    if all(value is None for value in column):
        known = sorted({str(key) for attributes in edges.attributes for key in attributes})
        what, remedy = f"no edge has an attribute {name!r}", did_you_mean(name, known)
    else:
        shown = edges.show(wrong, lambda row: f" ({column[row]!r})")
        what = f"{name!r} is no finite number at {len(wrong):,} edges: {shown}"
        remedy = "give each of them a number, or leave it out"
    problems.append(Problem("network.factors", what, remedy))
    return np.ones(len(edges))


def _read_numbers(column: list[Any]) -> npt.NDArray[np.float64] | None:
    """A column of finite numbers; None where it is none."""
    try:
        numbers = np.asarray(column)
    except ValueError:  # of lists that differ in length
        return None
    numeric = numbers.dtype.kind in "iufb" and numbers.ndim == 1
    return numbers.astype(np.float64) if numeric and bool(np.isfinite(numbers).all()) else None
