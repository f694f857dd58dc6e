"""Contractions in C: every tile and what is left over, rows that are left out, and how many threads share the work."""

from __future__ import annotations

import ctypes
from functools import cache
from itertools import product as pairs
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt
import pytest
from compiled import load_source
from hypothesis import example, given
from hypothesis import strategies as st

from graphbptt.codegen.dialect import C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.precision import FLOAT32, FLOAT64, Precision
from graphbptt.codegen.products.contract_rows import emit_contractions
from graphbptt.codegen.products.contraction import DEPTH, Contraction, find_contractions
from graphbptt.codegen.products.sum_rows import emit_sum
from graphbptt.codegen.products.vectors import VectorUnit, emit_vectors
from graphbptt.compiler import compile_network
from graphbptt.ir.data import Clamp, Target
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_native.contraction import bind_matrix_contraction, bind_sum, is_worth_a_call

Array = npt.NDArray[Any]
UNITS = (VectorUnit(16, 16), VectorUnit(32, 16), VectorUnit(64, 32))
SIDES = (1, 2, 5, 7, 13, 16, 17, 33, 64, 65, 130)
SHAPES = tuple(pairs(SIDES, SIDES))
BORDER = 777.0

kinds = pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda p: p.name)
units = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: f"{unit.size} bytes")
rows = st.integers(0, 40) | st.sampled_from([DEPTH - 1, DEPTH, DEPTH + 1, 2 * DEPTH + 30])


@cache
def load(unit: VectorUnit, precision: Precision) -> ctypes.CDLL:
    contractions = [Contraction.of(*shape, unit, precision) for shape in SHAPES]
    lines = [*emit_contractions(contractions, unit, precision), *emit_sum(unit, precision)]
    return load_source("\n".join([prelude([], precision, C), *emit_vectors(unit, precision), *lines, ""]))


def contract(source: Array, delta: Array, unit: VectorUnit, precision: Precision, cores: int = 1) -> Array:
    """The contraction of arrays (rows, units), whose first and last units are left out.

    As many threads as `cores` share even little work; nothing is written beside the gradient and the room.
    """
    source, delta = source[:, 1:-1], delta[:, 1:-1]
    shape = source.shape[1], delta.shape[1]
    around = np.full(shape[0] * shape[1] + 2, BORDER, precision.name)
    gradient, rooms = around[1:-1].reshape(shape), []

    def room(part: int, numbers: int) -> Array:
        del part
        rooms.append(np.full(numbers + 1, BORDER, precision.name))
        return rooms[-1][:-1]

    function = load(unit, precision).contract_rows
    contraction = Contraction.of(*shape, unit, precision)
    for call in bind_matrix_contraction(function, contraction, source, delta, gradient, cores, room):
        call()
    assert (around[[0, -1]] == BORDER).all()
    assert all(memory[-1] == BORDER for memory in rooms)
    return gradient


def draw(random: np.random.Generator, shape: tuple[int, ...], precision: Precision) -> Array:
    return random.normal(size=shape).astype(precision.name)


def assert_close(found: Array, wanted: Array, count: int, precision: Precision) -> None:
    tolerance = np.finfo(precision.name).eps * 4 * (16 + count)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


@kinds
@units
def test_every_shape(unit: VectorUnit, precision: Precision) -> None:
    random = np.random.default_rng(0)
    for height, width in SHAPES:
        source, delta = (draw(random, (41, side + 2), precision) for side in (height, width))
        wanted = source[:, 1:-1].T.astype(float) @ delta[:, 1:-1]
        assert_close(contract(source, delta, unit, precision), wanted, 41, precision)


@kinds
@units
@given(
    shape=st.sampled_from(SHAPES),
    count=rows,
    acting=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    cores=st.integers(1, 4),
    seed=st.integers(0, 999),
)
@example(shape=(130, 130), count=2 * DEPTH + 30, acting=0.0, cores=2, seed=0)
@example(shape=(65, 1), count=2 * DEPTH + 30, acting=0.5, cores=2, seed=0)
def test_rows_without_delta(
    unit: VectorUnit,
    precision: Precision,
    shape: tuple[int, int],
    count: int,
    acting: float,
    cores: int,
    seed: int,
) -> None:
    """Rows of the delta that are zero in some panels, in all, or in some columns only."""
    random = np.random.default_rng(seed)
    source, delta = (draw(random, (count, side + 2), precision) for side in shape)
    for first in range(0, delta.shape[1], 16):
        delta[random.random(count) > acting, first : first + 16] = 0
    wanted = source[:, 1:-1].T.astype(float) @ delta[:, 1:-1]
    assert_close(contract(source, delta, unit, precision, cores), wanted, count, precision)


@kinds
@pytest.mark.parametrize("width", [1, 64])
@pytest.mark.parametrize("cores", [1, 2])
def test_zero_times_infinity_is_not_a_number(precision: Precision, width: int, cores: int) -> None:
    """As in a product that leaves no row out; in other rows of the gradient nothing changes."""
    unit, random = UNITS[-1], np.random.default_rng(2)
    source, delta = draw(random, (20, 67), precision), draw(random, (20, width + 2), precision)
    delta[3:6] = 0
    source[3, 7], source[4, 8], source[5, 65] = np.nan, np.inf, -np.inf
    delta[6, 1] = np.nan
    broken = np.isnan(contract(source, delta, unit, precision, cores))
    assert broken[[6, 7, 64]].all()
    assert broken[:, 0].all()
    assert broken.sum() == 3 * width + 65 - 3


def test_threads_compute_the_same_numbers() -> None:
    """To the last bit: no number is the sum of what two threads found."""
    random = np.random.default_rng(3)
    for shape in ((130, 65), (65, 1), (1, 130)):
        source, delta = (draw(random, (600, side + 2), FLOAT32) for side in shape)
        alone, *others = (contract(source, delta, UNITS[-1], FLOAT32, cores) for cores in (1, 2, 3))
        for other in others:
            np.testing.assert_array_equal(other, alone)


def test_only_what_may_be_called_is_compiled() -> None:
    """A derivative of a single column is NumPy's, however many rows it is the sum of."""
    graph = nx.DiGraph([("x", "h"), ("h", "h"), ("h", "y")])
    for name, size in (("x", 3), ("h", 20), ("y", 1)):
        graph.add_node(name, units=size)
    plan = compile_network(fold_graph(graph, [Clamp("x", "x")], [Target("y", "wanted")]))
    merged = (3 + 20 + 1, 20)
    found = find_contractions(plan, UNITS[-1], FLOAT32)
    assert {(item.height, item.width) for item in found} == {merged}
    assert is_worth_a_call(10**9, *merged)
    assert not is_worth_a_call(10**9, 20, 1)


@kinds
@units
@given(width=st.integers(1, 140), count=rows, seed=st.integers(0, 999))
def test_sums(unit: VectorUnit, precision: Precision, width: int, count: int, seed: int) -> None:
    series = draw(np.random.default_rng(seed), (count, width + 2), precision)
    out = np.full(width + 2, BORDER, precision.name)
    bind_sum(load(unit, precision).sum_rows, series[:, 1:-1], out[1:-1])()
    assert_close(out[1:-1], series[:, 1:-1].sum(0, float), count, precision)
    assert (out[[0, -1]] == BORDER).all()
