"""Products of small matrices in C: tiles of the result stay in registers, weights are packed in the order of reading.

    packed := (panel, ...)          the columns in panels of as many vectors as a tile has; zeros fill the last vector
    panel  := (row, ...)            for each row of the matrix its numbers in these columns, one after the other
    tile   := rows x vectors        numbers of the result; each row of a panel is read once for all rows of a tile

A product of a batch of states with packed weights goes panel by panel, and in each tile by tile down the batch (Goto
and Van de Geijn 2008, without their outer blocks: what recurs is small).

Where a matrix has blocks of zeros, the panels know from which row to which they have other numbers (`Span`).
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from graphbptt.codegen.precision import Precision
from graphbptt.codegen.products.panels import GUARD, TILE, ZEROS, Kind, emit_panel, panel_name
from graphbptt.codegen.products.spans import Span
from graphbptt.codegen.products.tiles import emit_tile
from graphbptt.codegen.products.vectors import VectorUnit
from graphbptt.codegen.text import block

__all__ = ["PackedProduct", "declare_products", "emit_products", "packed_size"]


@dataclass(frozen=True, slots=True)
class PackedProduct:
    """A C function ``name(rows, in, in_stride, packed, out, out_stride, accumulate)``.

    It computes ``out (+)= in @ matrix`` for a packed matrix of `depth` rows and `columns` columns. `spans` tell of the
    zeros in it; without any it is full. A guarded one is also given ``guard, guard_stride``, behind ``packed``: numbers
    beside those of the result.
    """

    name: str
    depth: int
    columns: int
    spans: tuple[Span, ...] = ()
    kind: Kind = "plain"

    def rows_of(self, first: int, stop: int) -> tuple[int, int]:
        """The rows in which some of the columns [first, stop) have numbers.

        >>> PackedProduct("product", 9, 20, (Span(12, 0, 9), Span(16, 0, 4), Span(20, 3, 6))).rows_of(12, 20)
        (0, 6)
        """
        if not self.spans:
            return 0, self.depth
        starts = (0, *(span.stop for span in self.spans))
        rows = [
            (span.top, span.bottom)
            for start, span in zip(starts, self.spans, strict=False)
            if start < stop and first < span.stop and span.top < span.bottom
        ]
        return (min(top for top, _ in rows), max(bottom for _, bottom in rows)) if rows else (0, 0)


def packed_size(depth: int, columns: int, lanes: int) -> int:
    """How many numbers a packed matrix has.

    >>> packed_size(3, 20, 16)
    96
    """
    return depth * -(-columns // lanes) * lanes


def emit_products(products: tuple[PackedProduct, ...], unit: VectorUnit, precision: Precision) -> list[str]:
    """The lines of the products, of the tiles they share, and of ``pack_matrix``, which packs for all of them."""
    lanes = unit.lanes(precision)
    rows, most = unit.tile
    panels = sorted({(w, p.kind) for p in products for w in _panel_widths(p.columns, lanes, most)})
    lines = [*Template(PACK).substitute(lanes=lanes, panel=lanes * most).splitlines(), ""]
    if any(kind != "plain" for _, kind in panels):
        lines += [*ZEROS.splitlines(), ""]
    for width in sorted({width for width, _ in panels}):
        for height in range(1, rows + 1):
            lines += emit_tile(TILE, height, width, lanes)
    for width, kind in panels:
        lines += emit_panel(rows, width, lanes, kind)
    for product in products:
        lines += _emit_product(product, lanes, most)
    return lines


def _panel_widths(columns: int, lanes: int, most: int) -> tuple[int, ...]:
    """The vectors of each panel."""
    vectors = -(-columns // lanes)
    whole, left = divmod(vectors, most)
    return (most,) * whole + ((left,) if left else ())


PACK = """\
/* Put a matrix into panels; with its strides exchanged it is packed transposed. */
void pack_matrix(ptrdiff_t depth, ptrdiff_t columns, const real *restrict matrix, ptrdiff_t row_stride,
                 ptrdiff_t column_stride, real *restrict packed) {
    for (ptrdiff_t first = 0; first < columns; first += $panel) {
        const ptrdiff_t left = columns - first, rounded = (left + $lanes - 1) / $lanes * $lanes;
        const ptrdiff_t width = rounded < $panel ? rounded : $panel;
        for (ptrdiff_t i = 0; i < depth; i++)
            for (ptrdiff_t j = 0; j < width; j++)
                *packed++ = j < left ? matrix[i * row_stride + (first + j) * column_stride] : 0;
    }
}
"""


def declare_products(products: tuple[PackedProduct, ...]) -> list[str]:
    """The lines that tell of products ahead of their definitions."""
    title = "/* out (+)= in @ matrix. A name ends with the rows and columns of the matrix. */"
    heads = [_head(product) for product in products]
    return [title, *(line for first, second in heads for line in (first, f"{second};"))] if heads else []


def _head(product: PackedProduct) -> tuple[str, str]:
    """The name and the parameters of a product."""
    guard = f"{GUARD}, " if product.kind == "guarded" else ""
    return (
        f"void {product.name}(ptrdiff_t rows, const real *restrict in, ptrdiff_t in_stride, "
        "const real *restrict packed,",
        f"    {guard}real *restrict out, ptrdiff_t out_stride, int accumulate)",
    )


def _emit_product(product: PackedProduct, lanes: int, most: int) -> list[str]:
    """A call for each panel, of its rows that are not zero."""
    widths = _panel_widths(product.columns, lanes, most)
    guarded = product.kind == "guarded"
    body = []
    for index, width in enumerate(widths):
        first = index * most * lanes
        stop = min(product.columns, first + width * lanes)
        last = stop - first - (width - 1) * lanes
        top, bottom = product.rows_of(first, stop)
        panel = first * product.depth + top * width * lanes
        guard = f"guard + {first}, guard_stride, " if guarded else ""
        body.append(
            f"{panel_name(width, product.kind)}(rows, in + {top}, in_stride, {bottom - top}, {guard}"
            f"packed + {panel}, out + {first}, out_stride, {last}, accumulate);"
        )
    first_line, second_line = _head(product)
    return [first_line, *block(second_line, body), ""]
