"""Derivatives of dense weights in C: outer products, summed over steps and examples in tiles that stay in registers.

Rows are taken some at a time, so many that what is packed of a panel stays in a cache, and each tile is added to the
gradient (Goto and Van de Geijn 2008). While tiles are computed, what is packed next is fetched from memory, which would
otherwise take a third of the time where one side has few units.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from graphbptt.codegen.precision import Precision
from graphbptt.codegen.products.contraction import DEPTH, Contraction
from graphbptt.codegen.products.pack_rows import emit_packing
from graphbptt.codegen.products.tiles import TileKind, emit_tile
from graphbptt.codegen.products.vectors import VectorUnit

__all__ = ["emit_contractions"]

CACHE_LINE = 64

TILE = TileKind(
    name="sum_tile",
    parameters=(
        "const real *restrict in, ptrdiff_t count, const int *restrict kept, const real *fetched, "
        "ptrdiff_t apart"
    ),
    loop="for (ptrdiff_t k = 0; k < count; k++)",
    factor="a[{row}]",
    before=("const real *const a = in + (ptrdiff_t)kept[k] * {rows};",),
    after=("__builtin_prefetch(fetched, 0, 2);", "fetched += apart;"),
)
"""Of the gradient: the sum over the rows that are kept."""

CONTRACT = """\
/* All tiles of a panel of `vectors`, the last of which has `rest` columns, with some of the blocks. What is packed next
   they fetch into a cache, each tile one line of a row in each pass. */
static void contract_panel(ptrdiff_t count, const int *restrict kept, ptrdiff_t height, ptrdiff_t first,
                           ptrdiff_t last, const real *restrict packed, const real *restrict panel,
                           ptrdiff_t vectors, ptrdiff_t rest, real *restrict gradient, ptrdiff_t stride,
                           int accumulate, columns_of panel_next, columns_of blocks_next) {
    const ptrdiff_t blocks = (height + $most_rows - 1) / $most_rows, low = height / blocks, high = height % blocks;
    const real *in = packed;
    real *out = gradient + start_part(height, blocks, first) * stride;
    for (ptrdiff_t b = first; b < last; b++) {
        const ptrdiff_t tall = low + (b < high), line = (b - first) * $line;
        const int beside = line < panel_next.width;
        const columns_of next = beside ? panel_next : blocks_next;
        const ptrdiff_t column = beside ? line : line - panel_next.width;
        const int more = column < next.width;
        const real *const fetched = more ? next.from + column : in;
        const ptrdiff_t apart = more ? next.stride : 0;
        switch (10 * tall + vectors) {
$tiles
        }
        in += tall * $depth;
        out += tall * stride;
    }
}

/* gradient = in' @ with, summed over rows, in some of its blocks and panels. The delta is `with` or, if `turned`, all
   of `in`; a panel leaves out the rows in which its delta is zero and its states are finite. */
void contract_rows(ptrdiff_t rows, ptrdiff_t height, ptrdiff_t width, ptrdiff_t first_block, ptrdiff_t last_block,
                   ptrdiff_t first_panel, ptrdiff_t last_panel, const real *restrict in, ptrdiff_t in_stride,
                   const real *restrict with, ptrdiff_t with_stride, int turned, real *restrict room,
                   real *restrict gradient) {
    const ptrdiff_t vectors = (width + $lanes - 1) / $lanes, panels = (vectors + $most_vectors - 1) / $most_vectors;
    const ptrdiff_t blocks = (height + $most_rows - 1) / $most_rows;
    const ptrdiff_t left = start_part(height, blocks, first_block), right = start_part(height, blocks, last_block);
    const ptrdiff_t top = $lanes * start_part(vectors, panels, first_panel);
    real *const packed = room + $depth * $panel;
    int kept[$depth];
    ptrdiff_t done = 0;
    do {
        const ptrdiff_t depth = rows - done < $depth ? rows - done : $depth;
        const int ending = done + depth == rows;
        pack_blocks(depth, height, first_block, last_block, in, in_stride, packed);
        for (ptrdiff_t p = first_panel; p < last_panel; p++) {
            const ptrdiff_t begin = start_part(vectors, panels, p), size = start_part(vectors, panels, p + 1) - begin;
            const ptrdiff_t first = begin * $lanes, full = size * $lanes;
            const ptrdiff_t columns = width - first < full ? width - first : full;
            const columns_of above = {with + first, with_stride, columns};
            const columns_of aside = turned ? (columns_of){in, in_stride, height}
                                            : (columns_of){in + left, in_stride, right - left};
            const ptrdiff_t count = find_kept(depth, turned ? aside : above, turned ? above : aside, kept);
            if (count == 0 && done > 0) continue;
            pack_panel(count, kept, columns, with + first, with_stride, room);
            const int last = p + 1 == last_panel;
            const real *const beside = with + (last ? depth * with_stride + top : first + full);
            const columns_of panel_next = {beside, with_stride, last && ending ? 0 : columns};
            const columns_of blocks_next = {in + depth * in_stride + left, in_stride,
                                               last && !ending ? right - left : 0};
            contract_panel(count, kept, height, first_block, last_block, packed, room, size, columns - full + $lanes,
                           gradient + first, width, done > 0, panel_next, blocks_next);
        }
        done += depth, in += depth * in_stride, with += depth * with_stride;
    } while (done < rows);
}
"""


def emit_contractions(
    contractions: Iterable[Contraction], unit: VectorUnit, precision: Precision
) -> list[str]:
    """The lines of ``contract_rows``, and of the tiles and the packing that these contractions need."""
    tiles = sorted({tile for contraction in contractions for tile in contraction.tiles})
    lanes, (most_rows, most_vectors) = unit.lanes(precision), unit.tile
    arguments = "in, count, kept, fetched, apart, panel, out, stride, rest, accumulate"
    cases = [
        f"{' ' * 12}case {10 * rows + vectors}: {TILE.function(rows, vectors)}({arguments}); break;"
        for rows, vectors in tiles
    ]
    names = {
        "lanes": lanes,
        "line": CACHE_LINE * lanes // unit.size,
        "depth": DEPTH,
        "panel": lanes * most_vectors,
        "most_rows": most_rows,
        "most_vectors": most_vectors,
        "tiles": "\n".join(cases),
    }
    return [
        *(line for rows, vectors in tiles for line in emit_tile(TILE, rows, vectors, lanes)),
        *emit_packing({rows for rows, _ in tiles}, unit, precision),
        *Template(CONTRACT).substitute(names).splitlines(),
        "",
    ]
