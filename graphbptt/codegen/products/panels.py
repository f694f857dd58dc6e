"""Panels of a product in C: how the rows of a batch pass by the columns that are read together, tile by tile.

    panel := plain          every tile is computed
           | guarded        a tile whose guard, numbers beside those of the result, is zero throughout is zero
           | gapped         a tile passes over the stretches of its depth in which all of its states are zero

What is multiplied by zero is not computed: infinity and NaN that would have come of it are not seen. A row of a result,
where its guard is not zero, is the same to the last bit whatever the other rows of its tile are.
"""

from __future__ import annotations

from typing import Literal

from graphbptt.codegen.products.tiles import TILE_PARAMETERS, TileKind
from graphbptt.codegen.text import block

__all__ = ["GUARD", "TILE", "ZEROS", "Kind", "emit_panel", "panel_name"]

Kind = Literal["plain", "guarded", "gapped"]

TILE = TileKind(
    name="tile",
    parameters="const real *restrict in, ptrdiff_t in_stride, ptrdiff_t depth",
    loop="for (ptrdiff_t i = 0; i < depth; i++)",
    factor="in[{row} * in_stride + i]",
)
"""Of the result, down to the depth of the matrix or of a stretch of it."""


ZEROS = """\
/* Whether a block has anything but zeros. */
static inline int has_numbers(const real *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns) {
    for (; rows > 0; rows--, from += stride) {
        int found = 0;
        for (ptrdiff_t j = 0; j < columns; j++) found |= from[j] != 0;
        if (found) return 1;
    }
    return 0;
}

static inline void clear_block(real *out, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns) {
    for (; rows > 0; rows--, out += stride)
        for (ptrdiff_t j = 0; j < columns; j++) out[j] = 0;
}
"""

STRETCH = 64
"""The depth that a gapped product computes or passes over at once: between two of them a tile goes back to memory."""

GUARD = "const real *restrict guard, ptrdiff_t guard_stride"


def emit_panel(rows: int, width: int, lanes: int, kind: Kind) -> list[str]:
    """All rows of the result in the columns of one panel, in blocks that are as equal as can be."""
    match kind:
        case "plain":
            compute = _emit_plain(rows, width)
        case "guarded":
            compute = _emit_guarded(rows, width)
        case "gapped":
            compute = _emit_gapped(rows, width, lanes)
    columns = [] if kind == "plain" else [f"const ptrdiff_t columns = {(width - 1) * lanes} + last;"]
    loop = [
        f"const ptrdiff_t blocks = (rows + {rows - 1}) / {rows}, height = (rows + blocks - 1) / blocks;",
        *compute,
        "in += height * in_stride;",
        "out += height * out_stride;",
        *(["guard += height * guard_stride;"] if kind == "guarded" else []),
        "rows -= height;",
    ]
    first, second = TILE_PARAMETERS
    head = [
        f"static void {panel_name(width, kind)}(ptrdiff_t rows, {TILE.parameters},",
        *([f"    {GUARD},"] if kind == "guarded" else []),
        f"    {first}",
    ]
    return [*head, *block(f"    {second})", [*columns, *block("while (rows > 0)", loop)]), ""]


def panel_name(width: int, kind: Kind) -> str:
    return f"panel_{width}" if kind == "plain" else f"{kind}_panel_{width}"


def _emit_plain(rows: int, width: int) -> list[str]:
    return _choose_tile(rows, width, "in, in_stride, depth, panel, out, out_stride, last, accumulate")


def _emit_guarded(rows: int, width: int) -> list[str]:
    return [
        *block("if (has_numbers(guard, guard_stride, height, columns))", _emit_plain(rows, width)),
        *block("else if (!accumulate)", ["clear_block(out, out_stride, height, columns);"]),
    ]


def _emit_gapped(rows: int, width: int, lanes: int) -> list[str]:
    """A tile for each stretch: where the sums of a row are rounded does not depend on what the other rows are."""
    stretch = [
        f"const ptrdiff_t left = depth - first, stretch = left < {STRETCH} ? left : {STRETCH};",
        "if (!has_numbers(in + first, in_stride, height, stretch)) continue;",
        f"const real *const part = panel + first * {width * lanes};",
        *_choose_tile(rows, width, "in + first, in_stride, stretch, part, out, out_stride, last, begun"),
        "begun = 1;",
    ]
    return [
        "int begun = accumulate;",
        *block(f"for (ptrdiff_t first = 0; first < depth; first += {STRETCH})", stretch),
        "if (!begun) clear_block(out, out_stride, height, columns);",
    ]


def _choose_tile(rows: int, width: int, arguments: str) -> list[str]:
    """The tile of the height that is wanted."""
    cases = [
        f"case {height}: {TILE.function(height, width)}({arguments}); break;" for height in range(1, rows + 1)
    ]
    return block("switch (height)", cases)
