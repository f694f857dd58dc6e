"""Kernels as CUDA text to read, and the numbers that their threads draw."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest
from compiled import load_source
from named_networks import NETWORKS

from graphbptt.codegen.dialect import CUDA, C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.kernels.write_kernels import write_kernels
from graphbptt.codegen.noise import NOISE_NEEDS, emit_normal
from graphbptt.codegen.precision import FLOAT32, FLOAT64, Precision
from graphbptt.codegen.text import block
from graphbptt.compiler import compile_network
from graphbptt.ir.noise import Noise, draw_noise

BOTH = pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda precision: precision.name)


def test_text(golden: Callable[[str, str], None]) -> None:
    text = write_kernels(compile_network(NETWORKS[0]()), FLOAT32, CUDA).text
    golden("kernels_elman", text[text.index('extern "C"') :].rstrip())


def test_text_is_the_same_each_time() -> None:
    first, second = (write_kernels(compile_network(NETWORKS[1]()), FLOAT64, CUDA) for _ in range(2))
    assert first == second


def test_the_lanes_of_a_warp_share_a_row_of_a_softmax() -> None:
    """In C there is one, which does the same: the loopback suite holds it to the reference."""
    plan = compile_network(NETWORKS[7]())
    for dialect, lanes in ((CUDA, 32), (C, 1)):
        kernels = write_kernels(plan, FLOAT32, dialect)
        joining = [
            kernel for kernel in kernels.kernels() if any("JOIN_LANES" in line for line in kernel.lines)
        ]
        assert [kernel.columns for kernel in joining] == [lanes, lanes]
        assert f"#define LANES {lanes}\n" in kernels.text


@BOTH
def test_every_thread_draws_its_number(precision: Precision) -> None:
    noise, shape = Noise(3, example=2**33 + 5), (7, 4, 37)
    steps, size, units = shape
    expected = draw_noise(noise, "h", range(11, 11 + steps), size, units, precision.name)
    number = f"draw_normal(from, i / {units} % {size}, i / {units * size}, i % {units}, {-(-units // 4)})"
    loop = block(f"for (ptrdiff_t i = 0; i < {expected.size}; i++)", [f"out[i] = {number};"])
    body = block("void draw(const word *from, real *out)", loop)
    source = "\n".join([prelude(NOISE_NEEDS, precision, C), *emit_normal(precision, C), *body, ""])
    drawn = np.empty(shape, precision.name)
    words = np.concatenate([noise.key("h"), np.array([noise.example, 10], np.uint64)])
    load_source(source).draw(*(ctypes.c_void_p(array.ctypes.data) for array in (words, drawn)))
    np.testing.assert_allclose(drawn, expected, rtol=8 * np.finfo(precision.name).eps)
