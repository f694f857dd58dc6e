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
from graphbptt.codegen.product import Product, VectorUnit, emit_products, packed_size

Array = npt.NDArray[Any]
SHAPES = tuple(pairs((1, 2, 7, 33), (1, 3, 4, 8, 17, 32, 65, 130)))
ROWS = (0, 1, 2, 3, 5, 6, 7, 11, 12, 13, 32)
UNITS = (VectorUnit(16, 16), VectorUnit(32, 16), VectorUnit(64, 32))


def address(array: Array, row: int = 0, column: int = 0) -> ctypes.c_void_p:
    return ctypes.c_void_p(array[row:, column:].ctypes.data if array.ndim == 2 else array.ctypes.data)


def size(number: int) -> ctypes.c_ssize_t:
    return ctypes.c_ssize_t(number)


class Compiled:
    """The products of all shapes, for one kind of vectors."""

    def __init__(self, unit: VectorUnit, precision: Precision) -> None:
        self.lanes = unit.lanes(precision)
        products = tuple(Product(f"product_{depth}_{columns}", depth, columns) for depth, columns in SHAPES)
        lines = emit_products(products, unit, precision)
        self.library = load_source("\n".join([prelude([], precision, C), *lines, ""]))

    def pack(self, matrix: Array, transposed: bool = False) -> Array:
        depth, columns = matrix.shape[::-1] if transposed else matrix.shape
        strides = [size(stride // matrix.itemsize) for stride in (matrix.T if transposed else matrix).strides]
        packed = np.full(packed_size(depth, columns, self.lanes) + 1, np.nan, matrix.dtype)
        self.library.pack_matrix(size(depth), size(columns), address(matrix), *strides, address(packed))
        assert np.isnan(packed[-1])
        assert not np.isnan(packed[:-1]).any()
        return packed

    def multiply(self, source: Array, packed: Array, out: Array, accumulate: bool) -> None:
        """All columns but the first and the last of `source` and `out` take part."""
        depth, columns = source.shape[1] - 2, out.shape[1] - 2
        function = getattr(self.library, f"product_{depth}_{columns}")
        states = size(len(source)), address(source, 0, 1), size(source.shape[1])
        results = address(out, 0, 1), size(out.shape[1])
        function(*states, address(packed), *results, ctypes.c_int(accumulate))


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
