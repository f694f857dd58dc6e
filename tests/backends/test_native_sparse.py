"""Sparse weights in C: products and derivatives of every shape, and networks whose loops have them."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import assert_agreement
from compiled import NOWHERE, load_source, toolchain
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbptt.codegen.arguments import Turned
from graphbptt.codegen.dialect import C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.precision import FLOAT64, precision_of
from graphbptt.codegen.products.entries import count_sampled, count_turned, emit_entries
from graphbptt.codegen.products.vectors import VectorUnit, emit_vectors
from graphbptt.compiler import compile_network
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.indices import Pattern
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.parameters import Use
from graphbptt.ir.plan import Plan, SparseBlock
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_native.entries import ColumnEntries, bind_entry_contraction
from graphbptt_native.executable import NativeExecutable
from graphbptt_native.workspace import NativeWorkspace
from graphbptt_numpy.sparse import BlockMemory, place_block

UNITS = (VectorUnit(16, 16), VectorUnit(32, 16), VectorUnit(64, 32))


@cache
def load(unit: VectorUnit, kind: type) -> ctypes.CDLL:
    precision = precision_of(np.dtype(kind))
    lines = [*emit_vectors(unit, precision), *emit_entries(unit, precision), ""]
    return load_source("\n".join([prelude([], precision, C), *lines]))


def draw_block(shape: tuple[int, int], seed: int, kind: type) -> tuple[BlockMemory, Pattern, np.ndarray]:
    """Entries at random places, so that rows and columns without any occur."""
    rng = np.random.default_rng(seed)
    matrix = np.where(rng.random(shape) < 0.3, rng.normal(size=shape) + 3, 0).astype(kind)
    matrix[rng.integers(shape[0]), rng.integers(shape[1])] = 1
    pattern = Pattern(*np.nonzero(matrix))
    block = place_block(
        SparseBlock("S0", "a->b", Use("a->b"), *shape, pattern), lambda size: np.full(size, 7, kind)
    )
    block.values[...] = matrix[pattern.rows, pattern.columns]
    return block, pattern, matrix


def address(array: np.ndarray, column: int = 0) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data + column * array.itemsize)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("unit", UNITS)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), batch=st.integers(0, 70), seed=st.integers(0, 99)
)
def test_products(unit: VectorUnit, kind: type, shape: tuple[int, int], batch: int, seed: int) -> None:
    block, _, matrix = draw_block(shape, seed, kind)
    columns = ColumnEntries(block, lambda size: np.zeros(size, kind))
    rng, size = np.random.default_rng(seed), ctypes.c_ssize_t
    for transposed in (False, True):
        used = matrix.T if transposed else matrix
        starts, sources, values = (
            (block.starts, block.positions, block.values)
            if transposed
            else (columns.starts, columns.sources, columns.values)
        )
        # All columns but the first and the last of `source` and `out` take part.
        source = rng.normal(size=(batch, used.shape[0] + 2)).astype(kind)
        out = rng.normal(size=(batch, used.shape[1] + 2)).astype(kind)
        examples = count_turned(batch, unit, precision_of(np.dtype(kind)))
        turned = np.full(examples * used.shape[0] + 1, 5, kind)
        for accumulate in (0, 1):
            wanted = out.copy()
            wanted[:, 1:-1] = source[:, 1:-1] @ used + accumulate * out[:, 1:-1]
            load(unit, kind).multiply_entries(
                size(batch), size(used.shape[0]), size(used.shape[1]),
                address(source, 1), size(source.shape[1]), address(starts), address(sources), address(values),
                address(turned), address(out, 1), size(out.shape[1]), accumulate,
            )  # fmt: skip
            np.testing.assert_allclose(out, wanted, rtol=0, atol=300 * np.finfo(kind).eps)
        assert turned[-1] == 5


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("unit", UNITS)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    steps=st.integers(1, 20),
    batch=st.integers(1, 9),
    cores=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_derivatives_by_entries(
    unit: VectorUnit, kind: type, shape: tuple[int, int], steps: int, batch: int, cores: int, seed: int
) -> None:
    block, pattern, _ = draw_block(shape, seed, kind)
    sampled = count_sampled(unit, precision_of(np.dtype(kind)))
    made: list[np.ndarray] = []

    def turned(part: int, units: int) -> np.ndarray:
        assert part == len(made)
        made.append(np.full(units * sampled + 1, 5, kind))
        return made[-1]

    rng = np.random.default_rng(seed)
    wide = [rng.normal(size=(steps, batch, units + 2)).astype(kind) for units in shape]
    source, delta = (series[..., 1:-1] for series in wide)
    bind_entry_contraction(load(unit, kind).contract_entries, block, source, delta, cores, turned)()
    full = np.einsum("tbi,tbj->ij", source.astype(float), delta.astype(float))
    np.testing.assert_allclose(
        block.gradient, full[pattern.rows, pattern.columns], rtol=0, atol=2000 * np.finfo(kind).eps
    )
    assert all(memory[-1] == 5 for memory in made)


def draw_network(seed: int) -> Plan:
    """Two populations with sparse connections of several delays, forward and back, and from outside the loop."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=7)
    graph.add_node("a", units=21, activation="tanh")
    graph.add_node("b", units=18, activation="logistic")
    rng = np.random.default_rng(seed)
    ends = (("x", "a", 0), ("a", "a", 1), ("a", "b", 1), ("b", "a", 1), ("b", "b", 2), ("a", "b", 2))
    for source, target, delay in ends:
        weight = {"sparse": {"density": float(rng.uniform(0.05, 0.5))}, "storage": "csr"}
        graph.add_edge(source, target, delay=delay, weight=weight)
    return compile_network(fold_graph(graph, [Clamp("x", "x")], [Target("b", "y")]))


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_networks_agree_with_the_reference(seed: int) -> None:
    plan = draw_network(seed)
    assert len(plan.blocks) == 6
    executable = NativeExecutable(plan, np.dtype(np.float64), toolchain(), NOWHERE)
    assert len(executable._program.scans) == 2
    vector = draw_parameters(plan.network, plan.layout, seed, np.float64)
    rng = np.random.default_rng(seed)
    for batch, steps in ((1, 6), (5, 4), (39, 3)):
        fields: dict[str, Any] = {
            "x": rng.normal(size=(batch, steps, 7)),
            "y": rng.normal(size=(batch, steps, 18)),
            "lengths": rng.integers(1, steps + 1, batch),
        }
        assert_agreement(plan, executable, vector, bind_batch(plan.network, fields, steps, np.float64))


def test_room_to_turn_states_is_what_a_product_uses() -> None:
    """Each thread has its own, for as many examples as are multiplied at once, however many there are."""
    plan = draw_network(0)
    executable = NativeExecutable(plan, np.dtype(np.float64), toolchain(), NOWHERE, 2)
    arguments = (Turned(21),)
    rooms = []
    for size in (1, 20, 500):
        space = executable._allocate(3, size, ragged=False)
        assert isinstance(space, NativeWorkspace)
        rooms += [[room for part in (0, 1) for room in space.find_arrays(arguments, part, size)]]
    unit = executable._program.vectors
    most = count_turned(500, unit, FLOAT64)
    for (one, other), examples in zip(rooms, (1, 16, most), strict=True):
        assert one is not None
        assert other is not None
        assert one.size == other.size == 21 * examples
        assert not np.shares_memory(one, other)


def test_a_split_batch_is_the_whole_one() -> None:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=400, activation="tanh", bias=0.3)
    graph.add_edge("h", "h", weight={"sparse": {"density": 0.1}, "storage": "csr"})
    plan = compile_network(fold_graph(graph, [], [Target("h", "y")]))
    vector = draw_parameters(plan.network, plan.layout, 0, np.float32)
    fields = {"y": np.random.default_rng(0).normal(size=(50, 20, 400))}
    batch = bind_batch(plan.network, fields, 20, np.float32)
    gradients = []
    for cores in (1, 2):
        executable = NativeExecutable(plan, np.dtype(np.float32), toolchain(), NOWHERE, cores)
        gradients.append(np.zeros(plan.layout.free, np.float32))
        executable.loss_and_gradient(vector, batch, gradients[-1])
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-4, atol=1e-6)
    assert np.count_nonzero(gradients[0]) > 15_000
