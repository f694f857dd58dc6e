"""The compiled text of a plan, as functions."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.contraction import Contraction
from graphbptt.codegen.entries import count_sampled
from graphbptt.codegen.length import check_length
from graphbptt.codegen.precision import precision_of
from graphbptt.codegen.scan import Scan
from graphbptt.codegen.source import write_source
from graphbptt.codegen.vectors import VectorUnit
from graphbptt.ir.noise import Noise
from graphbptt.ir.plan import Plan
from graphbptt_native import contraction
from graphbptt_native.cache import Cache
from graphbptt_native.discover import Toolchain
from graphbptt_native.entries import bind_contraction
from graphbptt_native.load import SECONDS, load_library
from graphbptt_native.threads import count_parts, run_together, split_examples
from graphbptt_numpy.sparse import BlockMemory

__all__ = ["Program", "compile_plan"]

Array = npt.NDArray[Any]

NOISE_FLOPS = 50.0
"""A normal number takes about as long as so many operations of a product."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The scans of a plan by the index of their stage and whether they run backward, and the functions they became."""

    scans: dict[tuple[int, bool], Scan]
    vectors: VectorUnit
    functions: ctypes.CDLL
    cores: int

    def bind(
        self, scan: Scan, steps: int, size: int, block: int, pointers: ctypes.Array[ctypes.c_void_p]
    ) -> Callable[[], object]:
        """A call of a scan for all examples, which are split between cores if there is enough to do.

        Rows of different steps are neighbours in the whole batch only: without a split, `block` steps go together.
        """
        function, number = getattr(self.functions, scan.name), ctypes.c_ssize_t
        parts = split_examples(size, float(scan.flops) * steps * size, self.cores)
        together = block if len(parts) == 1 else 1
        calls = [
            partial(function, *(number(n) for n in (steps, size, begin, end, together)), pointers)
            for begin, end in parts
        ]
        return calls[0] if len(calls) == 1 else partial(run_together, calls)

    def bind_contraction(
        self, block: BlockMemory, source: Array, delta: Array, turned: Callable[[int, int], Array]
    ) -> Callable[[], object]:
        """A call that computes the derivative by a block's entries from all steps of `source` and `delta`."""
        sampled = count_sampled(self.vectors, precision_of(source.dtype))
        flops = 2.0 * len(block.values) * source.shape[0] * source.shape[1]
        cores = count_parts(flops, self.cores)
        function = self.functions.contract_entries
        return bind_contraction(
            function, block, source, delta, cores, lambda part, units: turned(part, units * sampled)
        )

    def bind_matrix_contraction(
        self, source: Array, delta: Array, gradient: Array, room: Callable[[int, int], Array]
    ) -> Iterator[Callable[[], object]]:
        """The calls that compute a matrix's derivative from all rows of `source` and `delta`, (rows, units)."""
        height, width = gradient.shape
        shape = Contraction.of(height, width, self.vectors, precision_of(gradient.dtype))
        cores = count_parts(2.0 * len(source) * gradient.size, self.cores)
        function = self.functions.contract_rows
        return contraction.bind_contraction(function, shape, source, delta, gradient, cores, room)

    def bind_sum(self, series: Array, out: Array) -> Callable[[], object]:
        """A call that adds up all rows of `series`, (rows, units)."""
        return contraction.bind_sum(self.functions.sum_rows, series, out)

    def draw_noise(self, noise: Noise, population: str, first: int, out: Array) -> None:
        """Standard normal numbers (step, example, unit), from step `first` on; each core draws some of the steps."""
        key, word, number = noise.key(population), ctypes.c_uint64, ctypes.c_ssize_t
        parts = min(len(out), count_parts(NOISE_FLOPS * out.size, self.cores))
        ends = [len(out) * part // parts for part in range(parts + 1)]
        calls = [
            partial(
                self.functions.draw_noise,
                key.ctypes.data_as(ctypes.c_void_p),
                word(noise.example),
                word(first + begin),
                *(number(n) for n in (end - begin, *out.shape[1:])),
                out[begin:].ctypes.data_as(ctypes.c_void_p),
            )
            for begin, end in pairwise(ends)
        ]
        run_together(calls)

    def bind_packing(
        self, depth: int, columns: int, matrix: Array, row_stride: int, column_stride: int, packed: Array
    ) -> Callable[[], object]:
        """A call that puts a matrix into the panels that products read."""
        size, address = ctypes.c_ssize_t, ctypes.c_void_p
        return partial(
            self.functions.pack_matrix,
            size(depth),
            size(columns),
            matrix.ctypes.data_as(address),
            size(row_stride),
            size(column_stride),
            packed.ctypes.data_as(address),
        )


def compile_plan(
    plan: Plan,
    dtype: np.dtype[Any],
    toolchain: Toolchain,
    cache: Cache,
    cores: int,
    seconds: float = SECONDS,
) -> Program:
    """Write the scans of a plan as C, compile them unless the cache has them, and load them.

    Raises
    ------
    BackendError
        The text would be too long to compile.
    CompilerError
        The compiler fails, or takes longer than `seconds`.
    """
    check_length(plan)
    source = write_source(plan, precision_of(dtype), toolchain.vectors)
    library = load_library(source.text, toolchain, cache, seconds)
    return Program(source.scans, toolchain.vectors, library.functions, cores)
