"""The compiled text of a plan, as functions."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.precision import precision_of
from graphbptt.codegen.products.contraction import Contraction
from graphbptt.codegen.products.entries import count_sampled
from graphbptt.codegen.products.vectors import VectorUnit
from graphbptt.codegen.scans.length import check_length
from graphbptt.codegen.scans.scan import Scan
from graphbptt.codegen.scans.source import write_source
from graphbptt.ir.noise import Noise
from graphbptt.ir.plan import Plan
from graphbptt_native.cache import Cache
from graphbptt_native.contraction import bind_matrix_contraction, bind_sum
from graphbptt_native.discover import Toolchain
from graphbptt_native.entries import bind_entry_contraction
from graphbptt_native.load import SECONDS, load_library
from graphbptt_native.noise import bind_noise
from graphbptt_native.pointers import Pointers, point_to
from graphbptt_native.threads import bind_together, count_parts, split_examples
from graphbptt_numpy.sparse import BlockMemory

__all__ = ["Program", "compile_plan"]

Array = npt.NDArray[Any]
Call = Callable[[], object]


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The scans of a plan by the index of their stage and whether they run backward, and the functions they became.

    Each function is bound to arrays, which the call then keeps.
    """

    scans: dict[tuple[int, bool], Scan]
    vectors: VectorUnit
    functions: ctypes.CDLL
    cores: int

    def bind_scan(
        self,
        scan: Scan,
        steps: int,
        size: int,
        block: int,
        arrays: Callable[[int, int], Iterable[Array | None]],
    ) -> Call:
        """A call of a scan for all examples, which are split between cores if there is enough to do.

        `arrays` are those of its arguments for a core that has so many rows of products at a time. Rows of different
        steps are neighbours in the whole batch only: without a split, `block` steps go together.
        """
        function = getattr(self.functions, scan.name)
        parts = split_examples(size, float(scan.flops) * steps * size, self.cores)
        together = block if len(parts) == 1 else 1
        return bind_together(
            [
                partial(
                    function,
                    *map(ctypes.c_ssize_t, (steps, size, begin, end, together)),
                    Pointers(arrays(part, (end - begin) * min(together, steps))),
                )
                for part, (begin, end) in enumerate(parts)
            ]
        )

    def bind_entry_contraction(
        self, block: BlockMemory, source: Array, delta: Array, room: Callable[[int, int], Array]
    ) -> Call:
        """A call that computes the derivative by a block's entries from all steps of `source` and `delta`."""
        sampled = count_sampled(self.vectors, precision_of(source.dtype))
        cores = count_parts(2.0 * len(block.values) * source.shape[0] * source.shape[1], self.cores)
        function = self.functions.contract_entries
        return bind_entry_contraction(
            function, block, source, delta, cores, lambda part, columns: room(part, columns * sampled)
        )

    def bind_matrix_contraction(
        self, source: Array, delta: Array, gradient: Array, room: Callable[[int, int], Array]
    ) -> Iterator[Call]:
        """The calls that compute a matrix's derivative from all rows of `source` and `delta`, (rows, units)."""
        height, width = gradient.shape
        shape = Contraction.of(height, width, self.vectors, precision_of(gradient.dtype))
        cores = count_parts(2.0 * len(source) * gradient.size, self.cores)
        function = self.functions.contract_rows
        return bind_matrix_contraction(function, shape, source, delta, gradient, cores, room)

    def bind_sum(self, series: Array, out: Array) -> Call:
        """A call that adds up all rows of `series`, (rows, units)."""
        return bind_sum(self.functions.sum_rows, series, out)

    def bind_noise(self, population: str, out: Array) -> Callable[[Noise, int], None]:
        """What fills `out`, (step, example, unit), with a population's noise from a step on, when given both."""
        return bind_noise(self.functions.draw_noise, population, out, self.cores)

    def bind_packing(
        self, depth: int, columns: int, matrix: Array, row_stride: int, column_stride: int, packed: Array
    ) -> Call:
        """A call that puts a matrix into the panels that products read."""
        number = ctypes.c_ssize_t
        return partial(
            self.functions.pack_matrix,
            number(depth),
            number(columns),
            point_to(matrix),
            number(row_stride),
            number(column_stride),
            point_to(packed),
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
    source = write_source(plan, precision_of(dtype), toolchain.vectors, check_length)
    library = load_library(source.text, toolchain, cache, seconds)
    return Program(source.scans, toolchain.vectors, library.functions, cores)
