"""Positions in generated text are 64 bits wide: sweeps work far behind the 2^31st number of an array.

The arrays are address space that nobody has touched but for the rows of a few examples at their end.
"""

from __future__ import annotations

import ctypes
import mmap
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt
import pytest
from compiled import NOWHERE, toolchain
from named_networks import NETWORKS, draw_fields

from graphbptt.codegen.arguments import Argument, Entries, Padded, Rows, Turned
from graphbptt.codegen.precision import FLOAT32
from graphbptt.codegen.products.entries import has_narrow_indices
from graphbptt.codegen.products.vectors import SMALLEST
from graphbptt.codegen.scans.scan import Scan
from graphbptt.codegen.scans.source import write_source
from graphbptt.compiler import compile_network
from graphbptt.ir.data import Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.indices import Pattern
from graphbptt.ir.layout import draw_parameters
from graphbptt.ir.parameters import Use
from graphbptt.ir.plan import Plan, SparseBlock
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_native.executable import NativeExecutable
from graphbptt_native.pointers import Pointers
from graphbptt_native.workspace import NativeWorkspace

FEW, MANY = 3, 2**30
STEPS = 3
FLOAT = np.dtype(np.float32)
NO_RESERVE = 0x4000
"""Of Linux's mmap; Python names it from 3.13 on."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="address space without memory is asked of Linux"
)

Array = npt.NDArray[Any]


def untouched(rows: int, width: int) -> Array:
    """Zeros (row, example, unit) for `MANY` examples."""
    numbers = rows * MANY * width
    try:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE
        space = mmap.mmap(-1, numbers * FLOAT.itemsize, flags=flags)
    except OSError as error:
        pytest.skip(f"so much address space is not to be had: {error}")
    return np.frombuffer(space, FLOAT, numbers).reshape(rows, MANY, width)


class Call:
    """One scan, called for the last `FEW` of `size` examples; each of its buffers is an array of its own."""

    def __init__(self, plan: Plan, space: NativeWorkspace, scan: Scan, size: int) -> None:
        self.plan, self.size, self.scan = plan, size, scan
        self.buffers: dict[str, Array] = {}
        fixed = space.find_arrays(scan.arguments, 0, size)
        self.pointers = Pointers(map(self._find, scan.arguments, fixed))

    def _find(self, argument: Argument, fixed: Array | None) -> Array | None:
        if isinstance(argument, Padded):
            return None
        assert not isinstance(argument, Entries | Turned)
        if not isinstance(argument, Rows):
            return fixed
        buffer = self.plan.buffer[argument.buffer]
        shape = (buffer.before + STEPS + buffer.after, self.size, buffer.width)
        array = untouched(shape[0], shape[2]) if self.size == MANY else np.zeros(shape, FLOAT)
        drawn = np.random.default_rng(len(self.buffers)).uniform(-1, 1, (shape[0], FEW, shape[2]))
        array[:, -FEW:] = drawn.astype(FLOAT)
        self.buffers[buffer.name] = array
        return array[buffer.before :]

    def run(self, functions: ctypes.CDLL) -> dict[str, Array]:
        """What the rows of the examples hold then."""
        numbers = (STEPS, self.size, self.size - FEW, self.size, 1)
        getattr(functions, self.scan.name)(*map(ctypes.c_ssize_t, numbers), self.pointers)
        return {name: array[:, -FEW:].copy() for name, array in self.buffers.items()}


@pytest.mark.parametrize("network", NETWORKS[:4], ids=lambda network: network.__name__)
def test_examples_behind_the_32nd_bit(network: Callable[[], FoldedNetwork]) -> None:
    plan = compile_network(network())
    executable = NativeExecutable(plan, FLOAT, toolchain(), NOWHERE, cores=1)
    batch = bind_batch(plan.network, draw_fields(FEW, STEPS, False))
    space = executable._allocate(STEPS, FEW, ragged=False)
    vector = draw_parameters(plan.network, plan.layout, 0, FLOAT)
    executable._attach(space).loss_and_gradient(vector, batch, np.zeros(plan.layout.free, FLOAT))
    assert isinstance(space, NativeWorkspace)
    program, behind = space.program, 0
    for scan in program.scans.values():
        results = [Call(plan, space, scan, size).run(program.functions) for size in (FEW, MANY)]
        for name, near in results[0].items():
            np.testing.assert_array_equal(results[1][name], near)
            behind += MANY * plan.buffer[name].width > 2**31
    assert behind


def test_only_flags_are_ints() -> None:
    """No loop and no position of the text is counted in an `int`."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=300, activation="softplus", noise=0.1)
    graph.add_edge("h", "h", weight={"sparse": {"density": 0.01}})
    graph.add_edge("h", "h", delay=2)
    plan = compile_network(fold_graph(graph, [], [Target("h", "h")]))
    text = write_source(plan, FLOAT32, SMALLEST).text
    assert "multiply_entries" in text
    flags = {"accumulate", "beside", "denormal", "ending", "keep", "last", "more", "turned"}
    few = {"kept", "round"}
    assert set(re.findall(r"(?<!unsigned )\bint (\w+)", text)) <= flags | few
    assert set(re.findall(r"\bint \*restrict (\w+)", text)) <= {"starts", "sources", "positions", "kept"}


@pytest.mark.parametrize("changes", [{"rows": 2**31}, {"columns": 2**31}])
def test_blocks_that_an_int_does_not_count_are_left_to_others(changes: dict[str, int]) -> None:
    pattern = Pattern([0, 1], [1, 0])
    block = SparseBlock("S0", "a->b", Use("a->b"), 2, 2, pattern)
    assert has_narrow_indices(block)
    assert has_narrow_indices(replace(block, **{name: size - 1 for name, size in changes.items()}))
    assert not has_narrow_indices(replace(block, **changes))
