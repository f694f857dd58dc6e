"""The kernel that turns rows, (row, column) to (column, row).

A GPU reads and writes 32 bytes of memory at once, and a warp reads best what lies side by side. So a block takes a
square tile: its lanes read rows of it side by side into shared memory, meet, and write columns of it side by side. A
row of the tile there is a number longer than the tile, so that the numbers of a column lie in different banks (Harris,
An Efficient Matrix Transpose in CUDA C/C++, 2013). In C, where blocks come one after the other, lanes do the same in
two loops.

It is called as ``turn_rows(threads, count, columns, source, source_stride, out)``: `threads` are those of
`count_threads`, the source has `count` rows that lie `source_stride` numbers apart.
"""

from __future__ import annotations

from graphbptt.codegen.dialect import Dialect
from graphbptt.codegen.lanes import WARP
from graphbptt.codegen.launches.commands import COUNT, THREADS, Signature
from graphbptt.codegen.text import block

__all__ = ["TURN_ROWS", "count_threads", "emit_turning"]

SIDE = WARP
"""Rows and columns of a tile: a warp takes a row of it at a time."""

TURN_ROWS = Signature(
    "turn_rows",
    (
        COUNT, "const ptrdiff_t count", "const ptrdiff_t columns", "const real *const source",
        "const ptrdiff_t source_stride", "real *const out",
    ),
)  # fmt: skip

_TILE = f"real tile[{SIDE}][{SIDE + 1}];"
_PLACE = (
    f"const int across = (int)((columns + {SIDE - 1}) / {SIDE});",
    f"const ptrdiff_t first_row = (ptrdiff_t)(block / across) * {SIDE};",
    f"const ptrdiff_t first_column = (ptrdiff_t)(block % across) * {SIDE};",
)
_READ = (
    "const ptrdiff_t row = first_row + k, column = first_column + side;",
    "if (row < count && column < columns) tile[k][side] = source[row * source_stride + column];",
)
_WRITE = (
    "const ptrdiff_t row = first_row + side, column = first_column + k;",
    "if (row < count && column < columns) out[column * count + row] = tile[side][k];",
)


def count_threads(rows: int, columns: int) -> int:
    """The threads of as many blocks as there are tiles.

    >>> count_threads(32, 33), count_threads(3200, 10_000) // THREADS
    (512, 31300)
    """
    return THREADS * -(-rows // SIDE) * -(-columns // SIDE)


def emit_turning(dialect: Dialect) -> list[str]:
    """The kernel."""
    if dialect.name == "CUDA":
        start = f'extern "C" __global__ void __launch_bounds__({THREADS}) {TURN_ROWS.kernel}('
        index = "const int block = blockIdx.x, lane = threadIdx.x;"
        body = [
            f"__shared__ {_TILE}",
            index,
            *_PLACE,
            *_each_row(_READ),
            "__syncthreads();",
            *_each_row(_WRITE),
        ]
    else:
        start = f"void {TURN_ROWS.kernel}("
        lanes = f"for (int lane = 0; lane < {THREADS}; lane++)"
        loops = [line for lines in (_READ, _WRITE) for line in block(lanes, _each_row(lines))]
        body = block(f"for (int block = 0; block < threads / {THREADS}; block++)", [_TILE, *_PLACE, *loops])
    *others, last = TURN_ROWS.parameters
    return [start, *(f"    {parameter}," for parameter in others), *block(f"    {last})", body), ""]


def _each_row(lines: tuple[str, ...]) -> list[str]:
    """What a lane does for the number ``side`` of each row ``k`` of a tile, or column, that is its warp's."""
    loop = f"for (int k = lane / {SIDE}, side = lane % {SIDE}; k < {SIDE}; k += {THREADS // SIDE})"
    return block(loop, lines)
