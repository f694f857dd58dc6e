"""Kernels that are the same for every plan: products with weights that are kept as entries, the derivatives by these,
sums over rows, zeros, and what stands around the steps of a sequence.

A thread makes one number of the result; that of a derivative by an entry is shared by the lanes of a warp, of which
each takes every so manyth row (`graphbptt.codegen.lanes`). Where populations side by side in a buffer are filled at
once, a table of `ENTRY` numbers a column says what each is filled with.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphbptt.codegen.launches.commands import COUNT, Signature
from graphbptt.codegen.text import block

__all__ = [
    "CLEAR_PADDING",
    "CLEAR_ROWS",
    "CONTRACT_ENTRIES",
    "COPY_ROWS",
    "EDGE_KERNELS",
    "ENTRY",
    "ENTRY_KERNELS",
    "FILL_HISTORY",
    "FILL_PADDING",
    "GATHER_ENTRIES",
    "MULTIPLY_ENTRIES",
    "SUM_ROWS",
    "FixedKernel",
]

ENTRY = 4
"""Of a table: a column of the result; the first of the numbers that it is filled with, among those of an example; how
much further the next of them lies, and how many they are: those of a population's initial rows."""

_FILL = (
    f"const int *const entry = table + thread % columns * {ENTRY};",
    "const ptrdiff_t kept = back < entry[3] ? back : entry[3] - 1;",
    "out[row * out_stride + entry[0]] = initial[example * initial_stride + entry[1] + kept * entry[2]];",
)
"""Put the initial row that is so many rows ``back``, or the last there is, at a column of the table."""


@dataclass(frozen=True, slots=True)
class FixedKernel:
    """The name of a kernel, its parameters behind the number of threads, and what a thread does."""

    name: str
    parameters: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def signature(self) -> Signature:
        return Signature(self.name, (COUNT, *self.parameters))


MULTIPLY_ENTRIES = FixedKernel(
    "multiply_entries",
    (
        "const ptrdiff_t count", "const real *const source", "const ptrdiff_t source_stride",
        "const ptrdiff_t source_step", "const int *const starts", "const int *const rows",
        "const real *const values", "real *const out", "const ptrdiff_t out_stride", "const ptrdiff_t accumulate",
    ),
    (
        "const ptrdiff_t row = thread % count, column = thread / count;",
        "const real *const from = source + row * source_stride;",
        "real *const to = out + row * out_stride + column;",
        "real sum = accumulate ? *to : 0;",
        "for (int k = starts[column]; k < starts[column + 1]; k++) sum += values[k] * from[rows[k] * source_step];",
        "*to = sum;",
    ),
)  # fmt: skip

CONTRACT_ENTRIES = FixedKernel(
    "contract_entries",
    (
        "const ptrdiff_t count", "const real *const source", "const ptrdiff_t source_stride",
        "const ptrdiff_t source_step", "const real *const delta", "const ptrdiff_t delta_stride",
        "const ptrdiff_t delta_step", "const int *const rows", "const int *const columns", "real *const gradient",
        "const ptrdiff_t accumulate",
    ),
    (
        "const ptrdiff_t entry = thread / LANES, j = thread % LANES;",
        "const real *const from = source + rows[entry] * source_step;",
        "const real *const with = delta + columns[entry] * delta_step;",
        "real sum = 0;",
        "for (ptrdiff_t k = j; k < count; k += LANES) sum += from[k * source_stride] * with[k * delta_stride];",
        "JOIN_LANES(sum, sum + other)",
        "if (j == 0) gradient[entry] = accumulate ? gradient[entry] + sum : sum;",
    ),
)  # fmt: skip

GATHER_ENTRIES = FixedKernel(
    "gather_entries",
    ("const int *const order", "const real *const values", "real *const out"),
    ("out[thread] = values[order[thread]];",),
)

FILL_HISTORY = FixedKernel(
    "fill_history",
    (
        "const ptrdiff_t size", "const ptrdiff_t columns", "const ptrdiff_t before", "const int *const table",
        "const real *const initial", "const ptrdiff_t initial_stride", "real *const out", "const ptrdiff_t out_stride",
    ),
    (
        "const ptrdiff_t row = thread / columns, example = row % size, back = before - 1 - row / size;",
        *_FILL,
    ),
)  # fmt: skip

FILL_PADDING = FixedKernel(
    "fill_padding",
    (
        "const ptrdiff_t size", "const ptrdiff_t columns", "const ptrdiff_t first", "const long long *const lengths",
        "const int *const table", "const real *const initial", "const ptrdiff_t initial_stride", "real *const out",
        "const ptrdiff_t out_stride",
    ),
    (
        "const ptrdiff_t row = thread / columns, example = row % size;",
        "const ptrdiff_t back = first + row / size - (lengths ? lengths[example] : 0);",
        *block("if (back >= 0)", _FILL),
    ),
)  # fmt: skip

CLEAR_PADDING = FixedKernel(
    "clear_padding",
    (
        "const ptrdiff_t size", "const ptrdiff_t columns", "const long long *const lengths", "real *const out",
        "const ptrdiff_t out_stride",
    ),
    (
        "const ptrdiff_t row = thread / columns, column = thread % columns;",
        "if (row / size >= lengths[row % size]) out[row * out_stride + column] = 0;",
    ),
)  # fmt: skip

COPY_ROWS = FixedKernel(
    "copy_rows",
    (
        "const ptrdiff_t columns", "const real *const source", "real *const out", "const ptrdiff_t out_stride",
    ),
    ("out[thread / columns * out_stride + thread % columns] = source[thread];",),
)  # fmt: skip

SUM_ROWS = FixedKernel(
    "sum_rows",
    (
        "const ptrdiff_t rows", "const ptrdiff_t columns", "const real *const source",
        "const ptrdiff_t source_stride", "real *const out",
    ),
    (
        "const ptrdiff_t first = thread / columns, column = thread % columns, parts = threads / columns;",
        "real sum = 0;",
        "for (ptrdiff_t row = first; row < rows; row += parts) sum += source[row * source_stride + column];",
        "out[thread] = sum;",
    ),
)  # fmt: skip

CLEAR_ROWS = FixedKernel(
    "clear_rows",
    ("const ptrdiff_t columns", "real *const out", "const ptrdiff_t out_stride"),
    ("out[thread / columns * out_stride + thread % columns] = 0;",),
)

ENTRY_KERNELS = (MULTIPLY_ENTRIES, CONTRACT_ENTRIES, GATHER_ENTRIES)
"""Of plans with such weights; their values are gathered in the order of columns, too, in which products read them.
States and deltas lie in rows that are so many numbers `stride` apart, their units a `step`: they may be turned."""

EDGE_KERNELS = (FILL_HISTORY, FILL_PADDING, CLEAR_PADDING, COPY_ROWS, SUM_ROWS, CLEAR_ROWS)
"""Of all plans. The rows before step 1 hold what sequences start from, the latest last; behind the end of a sequence,
from row `first` on counted from there, its states are those it starts from, and net inputs are 0. Sums over many rows
are made in two passes, of some rows each and then of these, always in the same order."""
