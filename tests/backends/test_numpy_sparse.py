"""Sparse weights of the numpy backend: the routines that it calls, what they compute, and the memory they take."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from plans import draw
from scipy.sparse import _sparsetools as sparsetools

from graphbptt.compiler import compile_network
from graphbptt.ir.indices import Pattern
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.parameters import Use
from graphbptt.ir.plan import SparseBlock
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_numpy import NumpyExecutable
from graphbptt_numpy.sparse import BlockMemory, bind_sparse_contract, bind_sparse_product, place_block


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_scipy_still_has_the_routines_below_its_products(dtype: type, kind: type) -> None:
    """They are not public: should one change or go, this says so before a wrong number does."""
    matrix = scipy.sparse.csr_array(np.array([[0, 2, 0], [3, 0, 4]], dtype))
    rows = (matrix.indptr.astype(kind), matrix.indices.astype(kind), matrix.data)
    x, y = np.array([1, 2, 3], dtype), np.array([5, 7], dtype)
    out, back = np.ones(2, dtype), np.ones(3, dtype)
    sparsetools.csr_matvec(2, 3, *rows, x, out)
    sparsetools.csc_matvec(3, 2, *rows, y, back)
    assert (out.tolist(), back.tolist()) == ([5, 16], [22, 11, 29])
    many, many_back = np.ones((2, 2), dtype), np.ones((3, 2), dtype)
    sparsetools.csr_matvecs(2, 3, 2, *rows, np.stack([x, -x], 1), many)
    sparsetools.csc_matvecs(3, 2, 2, *rows, np.stack([y, -y], 1), many_back)
    assert (many.tolist(), many_back[:, 0].tolist()) == ([[5, -3], [16, -14]], [22, 11, 29])


def build_block(matrix: np.ndarray) -> tuple[BlockMemory, Pattern]:
    pattern = Pattern(*np.nonzero(matrix))
    block = place_block(SparseBlock("S0", "a->b", Use("a->b"), *matrix.shape, pattern), np.zeros)
    block.values[...] = matrix[pattern.rows, pattern.columns]
    return block, pattern


def scratch() -> Any:
    kept: dict[Any, np.ndarray] = {}
    return lambda shape, index: kept.setdefault((shape, index), np.zeros(shape))


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    steps=st.integers(1, 4),
    batch=st.integers(1, 9),
    data=st.data(),
)
def test_products_and_derivatives_are_those_of_the_matrix(
    shape: tuple[int, int], steps: int, batch: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    there = np.zeros(shape, bool)
    there.flat[data.draw(st.lists(st.integers(0, there.size - 1), min_size=1))] = True
    matrix = np.where(there, rng.normal(size=shape) + 3, 0)
    block, pattern = build_block(matrix)
    for transposed in (False, True):
        used = matrix.T if transposed else matrix
        source, out = rng.normal(size=(batch, used.shape[0])), rng.normal(size=(batch, used.shape[1]))
        for accumulate in (False, True):
            wanted = source @ used + accumulate * out
            for call in bind_sparse_product(block, source, out, transposed, accumulate, scratch()):
                call()
            np.testing.assert_allclose(out, wanted, rtol=1e-12, atol=1e-12)
    source, delta = (rng.normal(size=(steps, batch, units)) for units in shape)
    for call in bind_sparse_contract(block, source, delta, scratch()):
        call()
    full = np.einsum("tbi,tbj->ij", source, delta)
    np.testing.assert_allclose(block.gradient, full[pattern.rows, pattern.columns], rtol=1e-12, atol=1e-12)


def test_indices_are_as_narrow_as_they_can_be() -> None:
    block, _ = build_block(np.eye(3))
    assert block.starts.dtype == block.positions.dtype == np.int32
    long = SparseBlock("S0", "a->b", Use("a->b"), 3, 2**31, Pattern([0, 2], [5, 2**31 - 1]))
    wide = place_block(long, np.zeros)
    assert wide.starts.dtype == wide.positions.dtype == np.int64


@pytest.mark.parametrize("batch", [1, 6])
def test_memory_is_proportional_to_entries_and_states(batch: int) -> None:
    """A matrix of 6,000 units squared would take 144 MB, its weights, and as much again, their derivatives."""
    units, entries, steps = 6_000, 30_000, 5
    weight = {"sparse": {"density": entries / units**2}}
    tracemalloc.start()
    try:
        nodes = {"h": {"units": units, "activation": "tanh", "bias": 0.3}}
        plan = compile_network(draw(nodes, ("h", "h", 1, {"weight": weight}), targets=["h"]))
        compiling = tracemalloc.get_traced_memory()[1]
        vector = draw_parameters(plan.network, plan.layout, 0, np.float32)
        bound = bind_batch(plan.network, {"h": np.ones((batch, steps, units), np.float32)}, None, np.float32)
        executable = NumpyExecutable(plan, np.dtype(np.float32))
        gradient = np.zeros(plan.layout.free, np.float32)
        executable.loss_and_gradient(vector, bound, gradient)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [len(block.pattern.rows) for block in plan.blocks] == [entries]
    assert np.count_nonzero(gradient) == entries + units
    assert compiling < 200 * (entries + units)
    assert peak < 200 * (entries + units) + 80 * units * batch * (steps + 1)
