"""Products of small matrices in C: tiles of the result stay in registers, weights are packed in the order of reading.

    packed := (panel, ...)          the columns in panels of as many vectors as a tile has; zeros fill the last vector
    panel  := (row, ...)            for each row of the matrix its numbers in these columns, one after the other
    tile   := rows x vectors        numbers of the result; each row of a panel is read once for all rows of a tile

A product of a batch of states with packed weights goes panel by panel, and in each tile by tile down the batch (Goto
and Van de Geijn 2008, without their outer blocks: what recurs is small). Vectors are those of GCC and Clang
(``vector_size``), so the text is plain C on every machine: where they are wider than the machine's, a compiler splits
them.

Where a matrix has blocks of zeros, the panels know from which row to which they have other numbers (`Span`).
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from graphbptt.codegen.panels import GUARD, ZEROS, Kind, emit_panel, emit_tile, panel_name
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.text import block

__all__ = ["SMALLEST", "Product", "Span", "VectorUnit", "emit_products", "packed_size"]


@dataclass(frozen=True, slots=True)
class VectorUnit:
    """How many bytes a vector of the processor has, and how many vectors it holds."""

    size: int
    registers: int

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and vectors of the largest tile; beside it, one row of a panel has to fit into the registers.

        >>> VectorUnit(64, 32).tile, VectorUnit(32, 16).tile
        ((6, 4), (6, 2))
        """
        return 6, (4 if self.registers >= 32 else 2)

    def lanes(self, precision: Precision) -> int:
        """Numbers in a vector."""
        return self.size // (4 if precision.name == "float32" else 8)


SMALLEST = VectorUnit(16, 16)
"""What any processor with vectors has."""


@dataclass(frozen=True, slots=True)
class Span:
    """The columns of a matrix up to `stop`, from where another span ends, are zero outside the rows [top, bottom)."""

    stop: int
    top: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Product:
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

        >>> Product("product", 9, 20, (Span(12, 0, 9), Span(16, 0, 4), Span(20, 3, 6))).rows_of(12, 20)
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


def emit_products(products: tuple[Product, ...], unit: VectorUnit, precision: Precision) -> list[str]:
    """The lines of the products, of the tiles they share, and of ``pack_matrix``, which packs for all of them."""
    lanes = unit.lanes(precision)
    rows, most = unit.tile
    panels = sorted({(w, p.kind) for p in products for w in _panel_widths(p.columns, lanes, most)})
    lines = _emit_vectors(unit, precision)
    if any(kind != "plain" for _, kind in panels):
        lines += [*ZEROS.splitlines(), ""]
    for width in sorted({width for width, _ in panels}):
        for height in range(1, rows + 1):
            lines += emit_tile(height, width, lanes)
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


VECTORS = """\
/* Vectors of $lanes numbers; in memory they begin wherever a number may. */
typedef real vec __attribute__((vector_size($size)));
typedef real vec_in_memory __attribute__((vector_size($size), aligned($align), may_alias));

static inline vec load_vector(const real *from) { return *(const vec_in_memory *)from; }

/* The end of a row, where a vector has more numbers than columns are left. Not inlined: tiles stay short. */
static __attribute__((noinline)) void store_rest(real *out, const real *from, ptrdiff_t width, int accumulate) {
    for (ptrdiff_t j = 0; j < width; j++) out[j] = accumulate ? out[j] + from[j] : from[j];
}

/* Store the first `width` numbers of a vector, or add them to what is there. */
static inline void store_vector(real *out, vec value, ptrdiff_t width, int accumulate) {
    if (width < $lanes)
        store_rest(out, (const real *)&value, width, accumulate);
    else
        *(vec_in_memory *)out = accumulate ? load_vector(out) + value : value;
}

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


def _emit_vectors(unit: VectorUnit, precision: Precision) -> list[str]:
    lanes = unit.lanes(precision)
    sizes = {"lanes": lanes, "size": unit.size, "align": unit.size // lanes, "panel": lanes * unit.tile[1]}
    return [*Template(VECTORS).substitute(sizes).splitlines(), ""]


def _emit_product(product: Product, lanes: int, most: int) -> list[str]:
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
            f"{panel_name(width, product.kind)}(rows, in + {top}, in_stride, packed + {panel}, {bottom - top}, "
            f"{guard}out + {first}, out_stride, {last}, accumulate);"
        )
    return [
        f"/* out (+)= in @ matrix, {product.depth} x {product.columns}. */",
        f"void {product.name}(ptrdiff_t rows, const real *restrict in, ptrdiff_t in_stride,",
        f"    const real *restrict packed, {GUARD}," if guarded else "    const real *restrict packed,",
        *block("    real *restrict out, ptrdiff_t out_stride, int accumulate)", body),
        "",
    ]
