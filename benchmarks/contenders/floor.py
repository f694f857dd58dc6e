"""The floor: how long the network's matrix products would take at the rate of one large product."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from benchmarks.networks.network import Network
from benchmarks.problem import Array, Gradients, Problem
from graphbptt.codegen.dialect import C
from graphbptt.codegen.elementary import prelude
from graphbptt.codegen.precision import precision_of
from graphbptt.codegen.products.contract_rows import emit_contractions
from graphbptt.codegen.products.contraction import Contraction
from graphbptt.codegen.products.vectors import emit_vectors
from graphbptt.errors import BackendError
from graphbptt_native import NativeBackend
from graphbptt_native.contraction import bind_matrix_contraction
from graphbptt_native.load import load_library
from graphbptt_native.threads import count_cores

__all__ = ["Floor", "bind_products", "find_fastest"]

Call = Callable[[], object]

SIDE = 1024
"""A product of this size reaches what the linear algebra library can do, and what generated C can."""
TRIALS = 5
"""How often each is tried before the faster one is taken."""


class Floor:
    """A call multiplies two large matrices; its time, times `calls_per_batch`, is the floor of the network."""

    def __init__(self, network: Network, problem: Problem, noisy: bool) -> None:
        del noisy
        sizes = problem.sizes
        groups = network.split(problem.parameters, sizes).items()
        per_step = sum(
            network.count_products(group, sizes) * array.size
            for group, array in groups
            if not group.endswith(".bias")
        )
        self.calls_per_batch = per_step * sizes.steps * sizes.batch / SIDE**3
        rng = np.random.default_rng(0)
        left, right = (rng.random((SIDE, SIDE)).astype(problem.dtype) for _ in range(2))
        self.multiply = find_fastest(bind_products(left, right, np.empty_like(left)))

    def __call__(self) -> float:
        self.multiply()
        return 0.0

    @property
    def gradients(self) -> Gradients:
        return {}


def bind_products(left: Array, right: Array, out: Array) -> list[Call]:
    """Calls that set `out` to ``left.T @ right``: where a C compiler works that of our generated C, and NumPy's.

    NumPy's comes last: the threads of its library spin for a while after a call, and would slow down the other.
    """
    by_numpy = partial(np.dot, left.T, right, out)
    backend, precision = NativeBackend(), precision_of(out.dtype)
    height, width = out.shape
    try:
        unit = backend.toolchain.vectors
        contraction = Contraction.of(height, width, unit, precision)
        lines = [*emit_vectors(unit, precision), *emit_contractions([contraction], unit, precision)]
        source = "\n".join([prelude([], precision, C), *lines, ""])
        function = load_library(source, backend.toolchain, backend.cache).functions.contract_rows
    except BackendError:
        return [by_numpy]

    def make_room(part: int, numbers: int) -> Array:
        del part
        return np.empty(numbers, out.dtype)

    cores = count_cores()
    return [*bind_matrix_contraction(function, contraction, left, right, out, cores, make_room), by_numpy]


def find_fastest(calls: Sequence[Call]) -> Call:
    """The one that takes the least time, at best."""

    def time_call(call: Call) -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return min(calls, key=lambda call: min(time_call(call) for _ in range(TRIALS)))
