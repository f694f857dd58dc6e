"""The nearest point: it meets the equations, has the signs, and no other such point is nearer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from graphbptt.keeper.equations import Equations
from graphbptt.keeper.nearest import NearestPoint


def find_nearest(matrix: np.ndarray, right: np.ndarray, signs: np.ndarray, start: np.ndarray) -> np.ndarray:
    gram = sparse.csr_array(np.linalg.pinv(matrix @ matrix.T, hermitian=True, rcond=1e-12))
    point = start.copy()
    NearestPoint(Equations(sparse.csr_array(matrix), right), gram, signs.astype(np.int8)).apply(point)
    return point


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 16), st.booleans(), st.booleans())
def test_it_is_nearest(seed: int, rows: int, columns: int, redundant: bool, vertex: bool) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.choice([0, 0, 1, 1, -1, 2, 0.5], (rows, columns))
    matrix[np.arange(rows), rng.integers(0, columns, rows)] = 1
    signs = rng.choice([-1, 0, 1, 1], columns)
    inside = np.zeros(columns) if vertex else rng.normal(size=columns) * rng.integers(0, 2, columns)
    inside = np.where(signs == 0, inside, np.abs(inside) * signs)
    if redundant:
        matrix = np.vstack([matrix, 2 * matrix[:1]])
    start = rng.normal(size=columns)
    point = find_nearest(matrix, matrix @ inside, signs, start)
    assert np.abs(matrix @ (point - inside)).max() < 1e-12
    assert (point * signs >= 0).all()
    # The step makes no acute angle with any way that leads inside, here to other points that are.
    others = [inside, *(inside + 0.1 * (point - inside) * k for k in range(3))]
    assert all((start - point) @ (other - point) < 1e-9 for other in others)


def test_shares_of_a_whole() -> None:
    """The projection onto the simplex, by sorting (Held, Wolfe and Crowder 1974)."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=200)
    point = find_nearest(np.ones((1, 200)), np.ones(1), np.ones(200), start)
    largest = np.sort(start)[::-1]
    counts = np.arange(1, 201)
    thresholds = (np.cumsum(largest) - 1) / counts
    threshold = thresholds[np.flatnonzero(largest > thresholds)[-1]]
    np.testing.assert_allclose(point, np.maximum(start - threshold, 0), atol=1e-13)


@pytest.mark.parametrize("size", [3, 20])
def test_rows_and_columns_that_add_up(size: int) -> None:
    """Doubly stochastic matrices: every number is in two equations, one of all is redundant."""
    places = np.arange(size * size)
    matrix = np.zeros((2 * size, size * size))
    matrix[places // size, places] = matrix[size + places % size, places] = 1
    start = np.random.default_rng(1).normal(size=size * size)
    point = find_nearest(matrix, np.ones(2 * size), np.ones(size * size), start).reshape(size, size)
    np.testing.assert_allclose([point.sum(axis=0), point.sum(axis=1)], 1, atol=1e-12)
    assert point.min() == 0
