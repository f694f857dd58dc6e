"""Kernels of what stands at the edges of a computation, the same for every plan: copies of parameters and their
derivatives, the states that sequences start from and theirs.

A thread makes one number of the result. Flags are bytes; `carried` leads to a number that is not 0 where the batch goes
on from states of earlier steps, which are then there.
"""

from __future__ import annotations

from graphbptt.codegen.kernels.fixed_kernels import FixedKernel

__all__ = ["APPLY_MAP", "COPY_KERNELS", "GATHER_STARTS", "START_KERNELS", "START_STATES"]

APPLY_MAP = FixedKernel(
    "apply_map",
    (
        "const int *const starts", "const int *const sources", "const real *const factors",
        "const real *const divisors", "const ptrdiff_t size", "const real *const numbers", "real *const out",
    ),
    (
        "double sum = 0;",
        "for (int k = starts[thread]; k < starts[thread + 1]; k++)",
        "    sum += (factors ? (double)factors[k] : 1) * (sources[k] < size ? numbers[sources[k]] : 1);",
        "out[thread] = divisors ? (real)sum / divisors[thread] : (real)sum;",
    ),
)  # fmt: skip

START_STATES = FixedKernel(
    "start_states",
    (
        "const ptrdiff_t columns", "const double *const carried", "const int *const sources",
        "const real *const copies", "const unsigned char *const started", "const real *const starts", "real *const out",
    ),
    (
        "if (carried[0] == 0)",
        "    out[thread] = started && started[thread] ? starts[thread] : copies[sources[thread % columns]];",
    ),
)  # fmt: skip

GATHER_STARTS = FixedKernel(
    "gather_starts",
    (
        "const ptrdiff_t size", "const ptrdiff_t columns", "const ptrdiff_t history", "const ptrdiff_t before",
        "const ptrdiff_t after", "const ptrdiff_t steps", "const double *const carried",
        "const unsigned char *const started", "const ptrdiff_t started_stride", "const long long *const lengths",
        "const real *const delta",
        "const ptrdiff_t delta_stride", "real *const out",
    ),
    (
        "const ptrdiff_t column = thread % columns, back = thread / columns % history;",
        "const ptrdiff_t first = thread / columns / history, parts = threads / columns / history;",
        "double sum = 0;",
        "for (ptrdiff_t example = first; example < (carried[0] != 0 ? 0 : size); example += parts) {",
        "    if (started && started[example * started_stride + back * columns + column]) continue;",
        "    const ptrdiff_t end = before + (lengths ? lengths[example] : steps) + back;",
        "    if (back < before) sum += delta[((before - 1 - back) * size + example) * delta_stride + column];",
        "    if (back < after) sum += delta[(end * size + example) * delta_stride + column];",
        "}",
        "out[thread] = (real)sum;",
    ),
)  # fmt: skip

COPY_KERNELS = (APPLY_MAP,)
"""Rows of a `LinearMap`, of `numbers` of which there are `size`, and behind these a 1; divided by the number of copies
where derivatives are averaged."""

START_KERNELS = (START_STATES, GATHER_STARTS)
"""The rows from which every example starts, those of all populations side by side: copies of the initial states, or as
clamps give them, or as they are there; and the derivative by an initial state (history, unit), from the rows around the
steps: in front of step 1, and behind the last one of each sequence; in parts of every so manyth example, as many as
there are threads for, one after the other."""
