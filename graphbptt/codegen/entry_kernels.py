"""Products with weights that are kept as entries, and the derivatives by these, as kernels: the same for every plan.

A thread makes one number: of a product's result, or of the derivative.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ENTRY_KERNELS", "EntryKernel"]


@dataclass(frozen=True, slots=True)
class EntryKernel:
    """The name of a kernel, its parameters behind the number of threads, and what a thread does."""

    name: str
    parameters: tuple[str, ...]
    lines: tuple[str, ...]


_MULTIPLY = EntryKernel(
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

_CONTRACT = EntryKernel(
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

ENTRY_KERNELS = (_MULTIPLY, _CONTRACT)
