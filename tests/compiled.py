"""Emitted text, compiled and called: for the tests of what generates it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from graphbptt.codegen.dialect import C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.pointwise import Access, Store, elementary_needs, emit_stores
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.text import block
from graphbptt.errors import BackendError
from graphbptt.ir.expression import Expression, Leaf, Load
from graphbptt_native.cache import Cache
from graphbptt_native.discover import Toolchain, find_toolchain
from graphbptt_native.load import load_library

Array = npt.NDArray[np.floating]
NOWHERE = Cache(None, "tests compile everything")


@cache
def toolchain() -> Toolchain:
    """The compiler of this machine; the test is skipped where there is none."""
    try:
        return find_toolchain(NOWHERE)
    except BackendError as error:
        pytest.skip(str(error))


def hurry(found: Toolchain) -> Toolchain:
    """Most of what a small network takes is its compilation: with -Og a quarter as long."""
    return replace(found, flags=tuple("-Og" if flag == "-O3" else flag for flag in found.flags))


def load_source(source: str) -> ctypes.CDLL:
    return load_library(source, toolchain(), NOWHERE).functions


def loop_text(name: str, expressions: Sequence[Expression], precision: Precision) -> str:
    """A function over rows of numbers: result k is expression k, of loads whose slots are rows of the input."""

    def access(leaf: Leaf) -> Access:
        assert isinstance(leaf, Load)
        return Access(f"in[{leaf.slot} * n + i]")

    stores = [Store(f"out[{k} * n + i]", expression) for k, expression in enumerate(expressions)]
    loop = block("for (ptrdiff_t i = 0; i < n; i++)", emit_stores(stores, access, precision))
    head = f"void {name}(ptrdiff_t n, const real *restrict in, real *restrict out)"
    return "\n".join(block(head, loop))


class Loops:
    """Lists of expressions, each compiled to a loop, in one source."""

    def __init__(self, lists: Sequence[Sequence[Expression]], precision: Precision) -> None:
        self.precision = precision
        self.results = [len(expressions) for expressions in lists]
        needs = {need for expressions in lists for need in elementary_needs(expressions)}
        loops = [
            loop_text(f"loop_{index}", expressions, precision) for index, expressions in enumerate(lists)
        ]
        self.library = load_source("\n".join([prelude(needs, precision, C), *loops]))

    def run(self, index: int, inputs: Array) -> Array:
        """The results of list `index`, (results, n), from inputs (rows, n)."""
        inputs = np.ascontiguousarray(inputs, self.precision.name)
        out = np.full((self.results[index], inputs.shape[1]), np.nan, inputs.dtype)
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (inputs, out))
        getattr(self.library, f"loop_{index}")(ctypes.c_ssize_t(inputs.shape[1]), *pointers)
        return out
