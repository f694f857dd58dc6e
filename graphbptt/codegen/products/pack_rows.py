"""What contractions read, packed in C: panels of the rows that are kept, and blocks of all rows.

A row whose derivative is zero contributes nothing and is left out: behind the end of a sequence, at steps without a
target, in modules that do not act. Where a state is infinite or not a number the row is kept, for zero times infinity
is not a number; only the states of rows that could be left out are looked at, each as often as there are panels.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from graphbptt.codegen.precision import Precision
from graphbptt.codegen.products.contraction import DEPTH
from graphbptt.codegen.products.vectors import VectorUnit

__all__ = ["emit_packing"]

PACKING = """\
/* Where a part begins, of parts as equal as can be, the longer ones first. */
static inline ptrdiff_t start_part(ptrdiff_t length, ptrdiff_t parts, ptrdiff_t part) {
    const ptrdiff_t longer = length % parts;
    return length / parts * part + (part < longer ? part : longer);
}

/* Columns of rows, from the first row on. */
typedef struct {
    const real *from;
    ptrdiff_t stride, width;
} columns_of;

/* The rows in which not all of the delta is zero, mostly its first number is not, or not all states are finite. */
static ptrdiff_t find_kept(ptrdiff_t rows, columns_of delta, columns_of states, int *restrict kept) {
    ptrdiff_t count = 0;
    for (ptrdiff_t row = 0; row < rows; row++, delta.from += delta.stride, states.from += states.stride) {
        int keep = delta.from[0] != 0;
        if (!keep)
            for (ptrdiff_t j = 1; j < delta.width; j++) keep |= delta.from[j] != 0;
        if (!keep)
            for (ptrdiff_t i = 0; i < states.width; i++) keep |= states.from[i] - states.from[i] != 0;
        kept[count] = (int)row;
        count += keep;
    }
    return count;
}

/* The units of a panel in the rows that are kept; zeros fill the last vector. */
static void pack_panel(ptrdiff_t count, const int *restrict kept, ptrdiff_t width, const real *restrict in,
                       ptrdiff_t in_stride, real *restrict packed) {
    const ptrdiff_t whole = width / $lanes * $lanes;
    for (ptrdiff_t k = 0; k < count; k++) {
        const real *const row = in + kept[k] * in_stride;
        for (ptrdiff_t j = 0; j < whole; j += $lanes, packed += $lanes)
            *(vec_in_memory *)packed = load_vector(row + j);
        if (whole == width) continue;
        for (ptrdiff_t j = whole; j < whole + $lanes; j++) *packed++ = j < width ? row[j] : 0;
    }
}

/* The units of a block in all rows; `height` is a constant where this is called, so that its loop becomes moves. */
static inline __attribute__((always_inline)) void pack_block(ptrdiff_t rows, ptrdiff_t height,
                                                             const real *restrict in, ptrdiff_t in_stride,
                                                             real *restrict packed) {
    for (ptrdiff_t row = 0; row < rows; row++)
        for (ptrdiff_t i = 0; i < height; i++) packed[row * height + i] = in[row * in_stride + i];
}

/* Some of the blocks, in few rows at a time: their numbers then lie in the same lines of a cache. */
static void pack_blocks(ptrdiff_t rows, ptrdiff_t height, ptrdiff_t first, ptrdiff_t last, const real *restrict in,
                        ptrdiff_t in_stride, real *restrict packed) {
    const ptrdiff_t blocks = (height + $most_rows - 1) / $most_rows, low = height / blocks, high = height % blocks;
    const ptrdiff_t start = start_part(height, blocks, first);
    for (ptrdiff_t row = 0; row < rows; row += 16) {
        const ptrdiff_t count = rows - row < 16 ? rows - row : 16;
        const real *from = in + row * in_stride + start;
        real *to = packed;
        for (ptrdiff_t b = first; b < last; b++) {
            const ptrdiff_t tall = low + (b < high);
            switch (tall) {
$packs
            }
            from += tall;
            to += tall * $depth;
        }
    }
}
"""


def emit_packing(heights: Iterable[int], unit: VectorUnit, precision: Precision) -> list[str]:
    """The lines that pack panels, and blocks of these heights."""
    cases = [
        f"{' ' * 16}case {height}: pack_block(count, {height}, from, in_stride, to + row * {height}); break;"
        for height in sorted(heights)
    ]
    numbers = {
        "lanes": unit.lanes(precision),
        "depth": DEPTH,
        "most_rows": unit.tile[0],
        "packs": "\n".join(cases),
    }
    return [*Template(PACKING).substitute(numbers).splitlines(), ""]
