"""Products of small matrices in C: tiles of the result stay in registers, weights are packed in the order of reading.

    packed := (panel, ...)          the columns in panels of as many vectors as a tile has; zeros fill the last vector
    panel  := (row, ...)            for each row of the matrix its numbers in these columns, one after the other
    tile   := rows x vectors        numbers of the result; each row of a panel is read once for all rows of a tile

A product of a batch of states with packed weights goes panel by panel, and in each tile by tile down the batch (Goto
and Van de Geijn 2008, without their outer blocks: what recurs is small). Vectors are those of GCC and Clang
(``vector_size``), so the text is plain C on every machine: where they are wider than the machine's, a compiler splits
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from graphbptt.codegen.precision import Precision
from graphbptt.codegen.text import block

__all__ = ["SMALLEST", "Product", "VectorUnit", "emit_products", "packed_size"]


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
class Product:
    """A C function ``name(rows, in, in_stride, packed, out, out_stride, accumulate)``.

    It computes ``out (+)= in @ matrix`` for a packed matrix of `depth` rows and `columns` columns.
    """

    name: str
    depth: int
    columns: int


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
    widths = sorted({width for product in products for width in _panel_widths(product.columns, lanes, most)})
    lines = _emit_vectors(unit, precision)
    for width in widths:
        for height in range(1, rows + 1):
            lines += _emit_tile(height, width, lanes)
        lines += _emit_panel(rows, width)
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


TILE_PARAMETERS = (
    "const real *restrict in, ptrdiff_t in_stride, const real *restrict panel, ptrdiff_t depth,",
    "real *restrict out, ptrdiff_t out_stride, ptrdiff_t last, int accumulate",
)


def _emit_tile(height: int, width: int, lanes: int) -> list[str]:
    """A tile of `height` rows and `width` vectors, the last of which has `last` columns."""
    grid = [(r, v) for r in range(height) for v in range(width)]
    walk = [
        *(f"const vec b{v} = load_vector(panel + {v * lanes});" for v in range(width)),
        *(f"c{r}_{v} += in[{r} * in_stride + i] * b{v};" for r, v in grid),
        f"panel += {width * lanes};",
    ]
    ends = [str(lanes)] * (width - 1) + ["last"]
    body = [
        f"vec {', '.join(f'c{r}_{v} = {{0}}' for r, v in grid)};",
        *block("for (ptrdiff_t i = 0; i < depth; i++)", walk),
        *(
            f"store_vector(out + {r} * out_stride + {v * lanes}, c{r}_{v}, {ends[v]}, accumulate);"
            for r, v in grid
        ),
    ]
    first, second = TILE_PARAMETERS
    return [
        f"static void tile_{height}x{width}({first}",
        *block(f"                     {second})", body),
        "",
    ]


def _emit_panel(rows: int, width: int) -> list[str]:
    """All rows of the result in the columns of one panel, in blocks that are as equal as can be."""
    call = "(in, in_stride, panel, depth, out, out_stride, last, accumulate); break;"
    choice = block(
        "switch (height)", [f"case {height}: tile_{height}x{width}{call}" for height in range(1, rows + 1)]
    )
    loop = [
        f"const ptrdiff_t blocks = (rows + {rows - 1}) / {rows}, height = (rows + blocks - 1) / blocks;",
        *choice,
        "in += height * in_stride;",
        "out += height * out_stride;",
        "rows -= height;",
    ]
    first, second = TILE_PARAMETERS
    return [
        f"static void panel_{width}(ptrdiff_t rows, {first}",
        *block(f"                    {second})", block("while (rows > 0)", loop)),
        "",
    ]


def _emit_product(product: Product, lanes: int, most: int) -> list[str]:
    widths = _panel_widths(product.columns, lanes, most)
    body = []
    for index, width in enumerate(widths):
        first = index * most * lanes
        last = product.columns - first - (width - 1) * lanes if index == len(widths) - 1 else lanes
        body.append(
            f"panel_{width}(rows, in, in_stride, packed + {first * product.depth}, {product.depth}, "
            f"out + {first}, out_stride, {last}, accumulate);"
        )
    return [
        f"/* out (+)= in @ matrix, {product.depth} x {product.columns}. */",
        f"void {product.name}(ptrdiff_t rows, const real *restrict in, ptrdiff_t in_stride,",
        *block(
            "    const real *restrict packed, real *restrict out, ptrdiff_t out_stride, int accumulate)", body
        ),
        "",
    ]
