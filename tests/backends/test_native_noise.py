"""Noise drawn in C: the numbers of `graphbptt.ir.noise`, whatever the shape and however they are split."""

from __future__ import annotations

import ctypes
from typing import Any

import networkx as nx
import numpy as np
import pytest
from compiled import NOWHERE, load_source, toolchain
from hypothesis import given
from hypothesis import strategies as st

from graphbptt.codegen.dialect import C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.noise import NOISE_NEEDS, emit_noise
from graphbptt.codegen.precision import FLOAT64
from graphbptt.codegen.scans.source import INDEPENDENT
from graphbptt.compiler import compile_network
from graphbptt.ir.data import Target
from graphbptt.ir.noise import Noise, draw_noise
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_native.program import Program, compile_plan


def compile_noisy(kind: type, cores: int) -> Program:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=3, activation="tanh", noise=0.5)
    graph.add_edge("h", "h")
    plan = compile_network(fold_graph(graph, [], [Target("h", "y")]))
    return compile_plan(plan, np.dtype(kind), toolchain(), NOWHERE, cores)


PROGRAMS: dict[tuple[type, int], Program] = {}


def draw(kind: type, cores: int, noise: Noise, first: int, shape: tuple[int, int, int]) -> np.ndarray:
    if (kind, cores) not in PROGRAMS:
        PROGRAMS[kind, cores] = compile_noisy(kind, cores)
    out = np.full((shape[0] + 1, *shape[1:]), 7, kind)
    drawing = PROGRAMS[kind, cores].bind_noise("h", out[:-1])
    drawing(Noise(noise.seed + 1), 1)  # of a call before nothing is left
    drawing(noise, first)
    assert (out[-1] == 7).all()
    return out[:-1]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@given(
    seed=st.integers(0, 2**70),
    example=st.integers(0, 2**40),
    first=st.integers(1, 2**40),
    shape=st.tuples(st.integers(1, 5), st.integers(0, 5), st.integers(1, 300)),
)
def test_numbers(kind: type, seed: int, example: int, first: int, shape: tuple[int, int, int]) -> None:
    noise = Noise(seed, example)
    expected = draw_noise(noise, "h", range(first, first + shape[0]), *shape[1:], dtype=kind)
    drawn = draw(kind, 1, noise, first, shape)
    np.testing.assert_allclose(drawn, expected, rtol=8 * np.finfo(kind).eps)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_many_numbers(kind: type) -> None:
    """A million of them; split between cores they are the same to the last bit."""
    shape = (100, 20, 500)
    expected = draw_noise(Noise(3), "h", range(1, 101), *shape[1:], dtype=kind)
    drawn = draw(kind, 1, Noise(3), 1, shape)
    np.testing.assert_allclose(drawn, expected, rtol=8 * np.finfo(kind).eps)
    assert np.array_equal(draw(kind, 3, Noise(3), 1, shape), drawn)
    exact = draw_noise(Noise(3), "h", range(1, 101), *shape[1:], dtype=np.float64)
    assert abs(exact - drawn).max() < (1e-14 if kind is np.float64 else 1e-3)


def test_words_without_wide_integers() -> None:
    """A compiler without integers of 128 bits draws the same words."""
    text = "\n".join([prelude(NOISE_NEEDS, FLOAT64, C), INDEPENDENT, *emit_noise(FLOAT64), ""])
    results = []
    for source in (text, text.replace("__SIZEOF_INT128__", "NO_SUCH_TYPE")):
        out, key = np.zeros((4, 3, 9)), Noise(5).key("h")
        load_source(source).draw_noise(
            ctypes.c_void_p(key.ctypes.data), ctypes.c_uint64(7), ctypes.c_uint64(1),
            *(ctypes.c_ssize_t(n) for n in out.shape), ctypes.c_void_p(out.ctypes.data),
        )  # fmt: skip
        results.append(out)
    assert np.array_equal(*results)
    assert np.unique(results[0]).size == results[0].size
