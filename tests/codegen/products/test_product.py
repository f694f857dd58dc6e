"""Products in C: every shape of tile and of what is left over, written only where they should be."""

from __future__ import annotations

import ctypes
from itertools import product as pairs
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from compiled import load_source

from graphbptt.codegen.dialect import C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.precision import FLOAT32, FLOAT64, Precision
from graphbptt.codegen.products.panels import Kind
from graphbptt.codegen.products.product import PackedProduct, emit_products, packed_size
from graphbptt.codegen.products.spans import Span
from graphbptt.codegen.products.vectors import VectorUnit, emit_vectors

Array = npt.NDArray[Any]
SHAPES = tuple(pairs((1, 2, 7, 33), (1, 3, 4, 8, 17, 32, 65, 130)))
ROWS = (0, 1, 2, 3, 5, 6, 7, 11, 12, 13, 32)
UNITS = (VectorUnit(16, 16), VectorUnit(32, 16), VectorUnit(64, 32))


def address(array: Array, row: int = 0, column: int = 0) -> ctypes.c_void_p:
    return ctypes.c_void_p(array[row:, column:].ctypes.data if array.ndim == 2 else array.ctypes.data)


def size(number: int) -> ctypes.c_ssize_t:
    return ctypes.c_ssize_t(number)


PLAIN = tuple(PackedProduct(f"product_{depth}_{columns}", depth, columns) for depth, columns in SHAPES)


class Compiled:
    """Products, if nothing else is said those of all shapes, for one kind of vectors."""

    def __init__(
        self, unit: VectorUnit, precision: Precision, products: tuple[PackedProduct, ...] = PLAIN
    ) -> None:
        self.lanes = unit.lanes(precision)
        lines = [*emit_vectors(unit, precision), *emit_products(products, unit, precision)]
        self.library = load_source("\n".join([prelude([], precision, C), *lines, ""]))

    def pack(self, matrix: Array, transposed: bool = False) -> Array:
        depth, columns = matrix.shape[::-1] if transposed else matrix.shape
        strides = [size(stride // matrix.itemsize) for stride in (matrix.T if transposed else matrix).strides]
        packed = np.full(packed_size(depth, columns, self.lanes) + 1, np.nan, matrix.dtype)
        self.library.pack_matrix(size(depth), size(columns), address(matrix), *strides, address(packed))
        assert np.isnan(packed[-1])
        assert not np.isnan(packed[:-1]).any()
        return packed

    def multiply(
        self,
        source: Array,
        packed: Array,
        out: Array,
        accumulate: bool,
        name: str = "",
        guard: Array | None = None,
    ) -> None:
        """All columns but the first and the last of `source`, `out` and `guard` take part."""
        depth, columns = source.shape[1] - 2, out.shape[1] - 2
        function = getattr(self.library, name or f"product_{depth}_{columns}")
        states = size(len(source)), address(source, 0, 1), size(source.shape[1])
        guards = () if guard is None else (address(guard, 0, 1), size(guard.shape[1]))
        results = address(out, 0, 1), size(out.shape[1])
        function(*states, address(packed), *guards, *results, ctypes.c_int(accumulate))


@pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda p: p.name)
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: f"{unit.size} bytes")
def test_products(unit: VectorUnit, precision: Precision) -> None:
    compiled = Compiled(unit, precision)
    random = np.random.default_rng(0)
    tolerance = 1e-5 if precision is FLOAT32 else 1e-13
    for (depth, columns), transposed in pairs(SHAPES, (False, True)):
        matrix = random.normal(size=(columns, depth) if transposed else (depth, columns)).astype(
            precision.name
        )
        packed = compiled.pack(matrix, transposed)
        for rows, accumulate in pairs(ROWS, (False, True)):
            source = random.normal(size=(rows, depth + 2)).astype(precision.name)
            before = random.normal(size=(rows, columns + 2)).astype(precision.name)
            before[:, [0, -1]] = np.nan
            out = before.copy()
            compiled.multiply(source, packed, out, accumulate)
            wanted = source[:, 1:-1].astype(float) @ (matrix.T if transposed else matrix)
            inner = wanted + before[:, 1:-1] * accumulate
            np.testing.assert_allclose(out[:, 1:-1], inner, rtol=0, atol=tolerance * (depth + 1))
            assert np.isnan(out[:, [0, -1]]).all()


def test_rows_do_not_depend_on_each_other() -> None:
    """To the last bit, whichever tile they fall into: a sequence is the same alone and in a batch."""
    compiled = Compiled(UNITS[-1], FLOAT64)
    random = np.random.default_rng(1)
    packed = compiled.pack(random.normal(size=(33, 65)))
    source, out = random.normal(size=(13, 35)), np.zeros((13, 67))
    compiled.multiply(source, packed, out, accumulate=False)
    for row in range(13):
        alone = np.zeros((1, 67))
        compiled.multiply(source[row : row + 1], packed, alone, accumulate=False)
        np.testing.assert_array_equal(alone[0, 1:-1], out[row, 1:-1])


def test_not_a_number_passes() -> None:
    compiled = Compiled(UNITS[1], FLOAT32)
    packed = compiled.pack(np.zeros((7, 17), np.float32))
    source, out = np.zeros((7, 9), np.float32), np.zeros((7, 19), np.float32)
    source[3, 4] = np.inf
    compiled.multiply(source, packed, out, accumulate=True)
    assert np.isnan(out[3, 1:-1]).all()
    assert (np.delete(out, 3, axis=0) == 0).all()


STAIRS = (Span(16, 0, 150), Span(90, 70, 150), Span(130, 140, 140), Span(140, 3, 4))
"""Columns with numbers in fewer and fewer rows, some of them in none."""


def stairs(precision: Precision) -> Array:
    matrix = np.zeros((150, 140), precision.name)
    start = 0
    for span in STAIRS:
        inside = matrix[span.top : span.bottom, start : span.stop]
        inside[...] = np.random.default_rng(start).normal(size=inside.shape)
        start = span.stop
    return matrix


def draw_blocks(random: np.random.Generator, rows: int, columns: int, precision: Precision) -> Array:
    """Numbers, with zeros in rows and columns of all lengths; whatever lies beside them is not a number."""
    kept = np.repeat(np.repeat(random.integers(0, 2, (rows, columns)), 5, axis=0), 30, axis=1)[
        :rows, :columns
    ]
    return np.pad(
        np.where(kept, random.normal(size=kept.shape), 0), ((0, 0), (1, 1)), constant_values=np.nan
    ).astype(precision.name)


@pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda p: p.name)
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: f"{unit.size} bytes")
def test_products_of_zeros(unit: VectorUnit, precision: Precision) -> None:
    """Zeros of matrices, of guards and of states: results are the same, if they are wanted, or zero."""
    products = (
        PackedProduct("with_spans", 150, 140, STAIRS),
        PackedProduct("guarded", 150, 140, STAIRS, "guarded"),
        PackedProduct("gapped", 150, 140, STAIRS, "gapped"),
    )
    compiled, matrix = Compiled(unit, precision, products), stairs(precision)
    packed = compiled.pack(matrix)
    random = np.random.default_rng(2)
    for product, rows, accumulate in pairs(products, ROWS, (False, True)):
        source = draw_blocks(random, rows, 150, precision)
        guard = draw_blocks(random, rows, 140, precision)
        before = random.normal(size=(rows, 142)).astype(precision.name)
        out = before.copy()
        compiled.multiply(
            source, packed, out, accumulate, product.name, guard if product.kind == "guarded" else None
        )
        wanted = source[:, 1:-1].astype(float) @ matrix + before[:, 1:-1] * accumulate
        found = out[:, 1:-1]
        if product.kind == "guarded":
            found, wanted = found * guard[:, 1:-1], wanted * guard[:, 1:-1]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-4 if precision is FLOAT32 else 1e-12)
        np.testing.assert_array_equal(out[:, [0, -1]], before[:, [0, -1]])


@pytest.mark.parametrize("kind", ["guarded", "gapped"])
def test_zeros_are_passed_over(kind: Kind) -> None:
    """A weight that is not a number tells what was multiplied; where nothing was, what there was is gone."""
    unit = UNITS[-1]
    compiled = Compiled(unit, FLOAT32, (PackedProduct("product", 130, 70, (), kind),))
    packed = compiled.pack(np.zeros((130, 70), np.float32))
    packed[:] = np.nan
    source, out = np.zeros((12, 132), np.float32), np.full((12, 72), 7, np.float32)
    guard = np.zeros((12, 72), np.float32)
    source[:6] = 1
    guard[8, 3] = 1
    compiled.multiply(source, packed, out, False, "product", guard if kind == "guarded" else None)
    multiplied = np.zeros((12, 70), bool)
    if kind == "guarded":
        multiplied[6:, :64] = True
    else:
        multiplied[:6] = True
    np.testing.assert_array_equal(np.isnan(out[:, 1:-1]), multiplied)
    assert (out[:, 1:-1][~multiplied] == 0).all()


@pytest.mark.parametrize("kind", ["guarded", "gapped"])
def test_rows_with_zeros_do_not_depend_on_each_other(kind: Kind) -> None:
    """To the last bit, where a guard is not zero."""
    compiled = Compiled(UNITS[-1], FLOAT64, (PackedProduct("product", 150, 140, STAIRS, kind),))
    packed = compiled.pack(stairs(FLOAT64))
    random = np.random.default_rng(3)
    source, guard = draw_blocks(random, 13, 150, FLOAT64), draw_blocks(random, 13, 140, FLOAT64)
    out = random.normal(size=(13, 142))
    before = out.copy()
    guarded = kind == "guarded"
    compiled.multiply(source, packed, out, True, "product", guard if guarded else None)
    for row in range(13):
        alone, one = before[row : row + 1].copy(), slice(row, row + 1)
        compiled.multiply(source[one], packed, alone, True, "product", guard[one] if guarded else None)
        kept = guard[row, 1:-1] != 0 if guarded else slice(None)
        np.testing.assert_array_equal(alone[0, 1:-1][kept], out[row, 1:-1][kept])
