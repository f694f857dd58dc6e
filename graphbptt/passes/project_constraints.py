"""Constraints and signs of a folded network -> the projection onto the parameters that meet them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from graphbptt.errors import Problem, SpecError
from graphbptt.ir.constraints import Constraint, stack_constraints
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.projection import Projection

__all__ = ["project_constraints"]

Array = npt.NDArray[Any]

LARGEST_COMPONENT = 1_000
"""Equations that hang together: their pseudo-inverse has the square of it in numbers, and takes its cube."""


def project_constraints(network: FoldedNetwork, layout: ParameterLayout) -> Projection | None:
    """The projection onto the constraints and signs; None where there are neither.

    Raises
    ------
    SpecError
        Too many equations hang together; their number is said.
    """
    signs = _list_signs(network, layout)
    if not network.constraints and not signs.any():
        return None
    matrix, right = stack_constraints(network.constraints, layout.size)
    free = matrix[:, : layout.free].tocsr()
    free.eliminate_zeros()
    components = _find_components(free)
    _check_sizes(components, network.constraints)
    return Projection(
        network.constraints, layout.free, matrix, right, _invert(free, components), components, signs
    )


def _list_signs(network: FoldedNetwork, layout: ParameterLayout) -> npt.NDArray[np.int8]:
    signs = np.zeros(layout.size, np.int8)
    for slot in layout.slots:
        group = network.group[slot.group]
        if group.signs is not None:
            layout.view(signs, slot.group)[...] = group.signs.values
    return signs[: layout.free]


def _find_components(matrix: sparse.csr_array) -> npt.NDArray[np.int64]:
    """The component of every equation, -1 where it has no parameter; two that share one are in the same."""
    equations, parameters = matrix.shape
    if not equations:
        return np.zeros(0, np.int64)
    entries = matrix.tocoo()
    places = (entries.row, entries.col + equations)
    size = equations + parameters
    _, labels = connected_components(
        sparse.csr_array((np.ones(entries.nnz), places), shape=(size, size)), directed=False
    )
    labels = np.where(np.diff(matrix.indptr) > 0, labels[:equations], -1)
    names, numbers = np.unique(labels, return_inverse=True)
    return numbers.astype(np.int64) - int(names[0] == -1)


def _invert(matrix: sparse.csr_array, components: npt.NDArray[np.int64]) -> sparse.csr_array:
    """The pseudo-inverse of ``A @ A.T``, block by block; equal sizes together, redundant equations included.

    Equations are scaled to about one length before, so that small ones do not pass for redundant; by powers of two, so
    that simple numbers stay exact.
    """
    count = matrix.shape[0]
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    lengths = np.where(norms > 0, np.exp2(-np.round(np.log2(np.maximum(norms, 1e-300)))), 0)
    scaled = sparse.diags_array(lengths) @ matrix
    product = (scaled @ scaled.T).tocoo()
    parts = list(_invert_blocks(product, components))
    if not parts:  # every parameter in the constraints is fixed
        return sparse.csr_array((count, count))
    data, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.csr_array((data * lengths[rows] * lengths[columns], (rows, columns)), shape=(count, count))


def _invert_blocks(
    product: sparse.coo_array, components: npt.NDArray[np.int64]
) -> Iterator[tuple[Array, Array, Array]]:
    """The entries of the pseudo-inverses of all blocks of one size, and their rows and columns."""
    members = np.argsort(components, kind="stable")[np.count_nonzero(components < 0) :]
    sizes = np.bincount(components[members])
    starts = np.cumsum(sizes) - sizes
    place = np.zeros(len(components), np.int64)  # the place of an equation in its component
    place[members] = np.arange(len(members)) - np.repeat(starts, sizes)
    for size in np.unique(sizes):
        blocks = np.flatnonzero(sizes == size)
        number = np.full(len(sizes), -1)
        number[blocks] = np.arange(len(blocks))
        block = number[components[product.row]]
        mine = (block >= 0) & (components[product.row] >= 0)
        dense = np.zeros((len(blocks), size, size))
        dense[block[mine], place[product.row[mine]], place[product.col[mine]]] = product.data[mine]
        # Rounded, the inverses of whole numbers are exact: an antisymmetric matrix stays so to the last bit.
        inverses = np.linalg.pinv(dense, rcond=1e-12, hermitian=True).round(14)
        equations = members[starts[blocks][:, None] + np.arange(size)]
        rows, columns = np.broadcast_arrays(equations[:, :, None], equations[:, None, :])
        yield inverses.ravel(), rows.ravel(), columns.ravel()


def _check_sizes(components: npt.NDArray[np.int64], constraints: tuple[Constraint, ...]) -> None:
    sizes = np.bincount(components[components >= 0])
    problems, start = [], 0
    for constraint in constraints:
        mine = components[start : (start := start + constraint.size)]
        largest = int(sizes[mine[mine >= 0]].max(initial=0))
        if largest > LARGEST_COMPONENT:
            what = f"{largest:,} equations hang together, more than the {LARGEST_COMPONENT:,} that are solved as one"
            problems.append(Problem(f"constraint {constraint.text}", what, "constrain fewer, or use ties"))
    if problems:
        raise SpecError(problems)
