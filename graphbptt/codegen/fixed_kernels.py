"""Kernels that are the same for every plan: products with weights that are kept as entries, the derivatives by these,
and what stands behind the end of a sequence.

A thread makes one number of the result.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EDGE_KERNELS", "ENTRY_KERNELS", "FixedKernel"]


@dataclass(frozen=True, slots=True)
class FixedKernel:
    """The name of a kernel, its parameters behind the number of threads, and what a thread does."""

    name: str
    parameters: tuple[str, ...]
    lines: tuple[str, ...]


_MULTIPLY = FixedKernel(
    "multiply_entries",
    (
        "const ptrdiff_t columns", "const real *const in", "const ptrdiff_t in_stride", "const int *const starts",
        "const int *const sources", "const real *const values", "real *const out", "const ptrdiff_t out_stride",
        "const ptrdiff_t accumulate",
    ),
    (
        "const ptrdiff_t row = thread / columns, column = thread % columns;",
        "const real *const from = in + row * in_stride;",
        "real *const to = out + row * out_stride + column;",
        "real sum = accumulate ? *to : 0;",
        "for (int k = starts[column]; k < starts[column + 1]; k++) sum += values[k] * from[sources[k]];",
        "*to = sum;",
    ),
)  # fmt: skip

_CONTRACT = FixedKernel(
    "contract_entries",
    (
        "const ptrdiff_t rows", "const real *const in", "const ptrdiff_t in_stride", "const real *const delta",
        "const ptrdiff_t delta_stride", "const int *const sources", "const int *const positions",
        "real *const gradient",
    ),
    (
        "const real *const from = in + sources[thread], *const with = delta + positions[thread];",
        "real sum = 0;",
        "for (ptrdiff_t row = 0; row < rows; row++) sum += from[row * in_stride] * with[row * delta_stride];",
        "gradient[thread] = sum;",
    ),
)  # fmt: skip

_PAD = FixedKernel(
    "fill_padding",
    (
        "const ptrdiff_t size", "const ptrdiff_t columns", "const ptrdiff_t history", "const long long *const lengths",
        "const real *const initial", "real *const out", "const ptrdiff_t out_stride",
    ),
    (
        "const ptrdiff_t row = thread / columns, column = thread % columns, example = row % size;",
        "const ptrdiff_t beyond = row / size - lengths[example], kept = beyond < history ? beyond : history - 1;",
        "if (beyond >= 0)",
        "    out[row * out_stride + column] = initial ? initial[(kept * size + example) * columns + column] : 0;",
    ),
)  # fmt: skip

ENTRY_KERNELS = (_MULTIPLY, _CONTRACT)
"""Of plans with such weights."""

EDGE_KERNELS = (_PAD,)
"""Of all plans. Behind the end of a sequence its states are those it starts from, and net inputs are 0."""
