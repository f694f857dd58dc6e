"""Derivatives of dense weights in C: outer products, summed over steps and examples in tiles that stay in registers.

    gradient := (block, ...) x (panel, ...)     the sum over rows of in[row, :] outer delta[row, :], in tiles
    block    := (row, ...)                  units of the states, as many as a tile has rows: their numbers in each row
    panel    := (kept row, ...)             units of the delta, as many vectors as a tile has
    kept row                                one in which not all of the panel is zero, or not all states are finite

Rows are taken some at a time, so many that what is packed of a panel stays in a cache, and each tile is added to the
gradient (Goto and Van de Geijn 2008). While tiles are computed, what is packed next is fetched from memory, which would
otherwise take a third of the time where one side has few units. Blocks are those of the states and panels those of the
delta; where the delta has so few units that vectors would stay empty it is the other way round, *turned*, and so is the
gradient.

A row whose derivative is zero contributes nothing and is left out: behind the end of a sequence, at steps without a
target, in modules that do not act. Where a state is infinite or not a number the row is kept, for zero times infinity
is not a number; only the states of rows that could be left out are looked at, each as often as there are panels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from string import Template

from graphbptt.codegen.precision import Precision
from graphbptt.codegen.product import VectorUnit
from graphbptt.codegen.text import block
from graphbptt.ir.expression import Load
from graphbptt.ir.operations import Contract, Operation, Reduce, View
from graphbptt.ir.plan import Plan

__all__ = ["Contraction", "emit_contractions", "emit_sum", "find_contractions", "has_sums", "is_plain_sum"]

DEPTH = 256
"""How many rows are packed at a time: with four vectors of 64 bytes a panel takes 64 KiB, a part of a second cache, and
adding a tile to the gradient takes a hundredth of the time of computing it."""

CACHE_LINE = 64

WORTH_TURNING = 0.8
"""Turned only if so much smaller: the rows of a turned one are left out for all units of the delta or for none."""


@dataclass(frozen=True, slots=True)
class Contraction:
    """The derivative of a matrix of `height` rows, the units of the states, and `width` columns, those of the delta."""

    height: int
    width: int
    lanes: int
    tile: tuple[int, int]

    @classmethod
    def of(cls, height: int, width: int, unit: VectorUnit, precision: Precision) -> Contraction:
        return cls(height, width, unit.lanes(precision), unit.tile)

    @property
    def turned(self) -> bool:
        """Whether vectors are of units of the states.

        >>> Contraction(128, 1, 16, (6, 4)).turned, Contraction(25, 16, 16, (6, 4)).turned
        (True, False)
        """
        return self.width * self._fill(self.height) < WORTH_TURNING * self.height * self._fill(self.width)

    @property
    def grid(self) -> tuple[int, int]:
        """How many blocks and panels there are.

        >>> Contraction(128, 512, 16, (6, 4)).grid
        (22, 8)
        """
        rows, columns = self._sides
        return -(-rows // self.tile[0]), -(-columns // (self.lanes * self.tile[1]))

    @property
    def tiles(self) -> set[tuple[int, int]]:
        """The tiles that occur, as rows and vectors: blocks, and panels, are as equal as can be.

        >>> sorted(Contraction(128, 80, 16, (6, 4)).tiles)
        [(5, 2), (5, 3), (6, 2), (6, 3)]
        """
        blocks, panels = self.grid
        rows, columns = self._sides
        vectors = -(-columns // self.lanes)
        return {
            (r, v)
            for r in {rows // blocks, -(-rows // blocks)}
            for v in {vectors // panels, -(-vectors // panels)}
        }

    @property
    def room(self) -> int:
        """How many numbers are packed at a time."""
        panel = self.lanes * self.tile[1]
        return DEPTH * (panel + self._sides[0])

    @property
    def _sides(self) -> tuple[int, int]:
        return (self.width, self.height) if self.turned else (self.height, self.width)

    def _fill(self, units: int) -> int:
        return -(-units // self.lanes) * self.lanes


def find_contractions(plan: Plan, unit: VectorUnit, precision: Precision) -> set[Contraction]:
    """The derivatives of all weights of a plan that are kept as matrices."""
    blocks = {block.name for block in plan.blocks}
    return {
        Contraction.of(operation.source.width, operation.delta.width, unit, precision)
        for stage in plan.stages
        for operation in stage.backward.operations()
        if isinstance(operation, Contract) and operation.weights not in blocks
    }


def has_sums(plan: Plan) -> bool:
    """Whether ``sum_rows`` is called for a plan."""
    return any(is_plain_sum(operation) for stage in plan.stages for operation in stage.backward.operations())


def is_plain_sum(operation: Operation) -> bool:
    """Whether an operation adds up columns of a buffer as they are."""
    if not isinstance(operation, Reduce) or not isinstance(operation.expression, Load):
        return False
    slot = operation.expression.slot
    return isinstance(slot, View) and slot.width == operation.row.width


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

SUM = """\
/* out = the sum of rows, added up by the same number of rows at a time as tiles. */
void sum_rows(ptrdiff_t rows, ptrdiff_t width, const real *restrict in, ptrdiff_t stride, real *restrict out) {
    for (ptrdiff_t first = 0; first < width; first += $panel) {
        const ptrdiff_t columns = width - first < $panel ? width - first : $panel;
        ptrdiff_t done = 0;
        do {
            const ptrdiff_t depth = rows - done < $depth ? rows - done : $depth;
            const real *from = in + done * stride + first;
            real sums[$panel] = {0};
            for (ptrdiff_t row = 0; row < depth; row++, from += stride)
                for (ptrdiff_t j = 0; j < columns; j++) sums[j] += from[j];
            for (ptrdiff_t j = 0; j < columns; j++) out[first + j] = done ? out[first + j] + sums[j] : sums[j];
            done += depth;
        } while (done < rows);
    }
}
"""


def emit_contractions(
    contractions: Iterable[Contraction], unit: VectorUnit, precision: Precision
) -> list[str]:
    """The lines of ``contract_rows`` and of the tiles that these contractions need.

    They follow those of `emit_products`, whose vectors they use.
    """
    tiles = sorted({tile for contraction in contractions for tile in contraction.tiles})
    lanes, (most_rows, most_vectors) = unit.lanes(precision), unit.tile
    move = "pack_block(count, {0}, from, in_stride, to + row * {0}); break;"
    call = "(count, kept, in, panel, out, stride, rest, accumulate, fetched, apart); break;"
    names = {
        "lanes": lanes,
        "line": CACHE_LINE * lanes // unit.size,
        "depth": DEPTH,
        "panel": lanes * most_vectors,
        "most_rows": most_rows,
        "most_vectors": most_vectors,
        "packs": _cases([(rows, move.format(rows)) for rows in sorted({rows for rows, _ in tiles})], 16),
        "tiles": _cases([(10 * r + v, f"sum_tile_{r}x{v}{call}") for r, v in tiles], 12),
    }
    lines = [line for rows, vectors in tiles for line in _emit_tile(rows, vectors, lanes)]
    return [*lines, *Template(PACKING + "\n" + CONTRACT).substitute(names).splitlines(), ""]


def emit_sum(unit: VectorUnit, precision: Precision) -> list[str]:
    """The lines of ``sum_rows``."""
    numbers = {"depth": DEPTH, "panel": unit.lanes(precision) * unit.tile[1]}
    return [*Template(SUM).substitute(numbers).splitlines(), ""]


def _cases(cases: list[tuple[int, str]], indent: int) -> str:
    return "\n".join(f"{' ' * indent}case {value}: {call}" for value, call in cases)


def _emit_tile(rows: int, vectors: int, lanes: int) -> list[str]:
    """A tile of the gradient: the sum over the rows that are kept."""
    grid = [(r, v) for r in range(rows) for v in range(vectors)]
    walk = [
        f"const real *const a = in + (ptrdiff_t)kept[k] * {rows};",
        *(f"const vec b{v} = load_vector(panel + {v * lanes});" for v in range(vectors)),
        *(f"c{r}_{v} += a[{r}] * b{v};" for r, v in grid),
        f"panel += {vectors * lanes};",
        "__builtin_prefetch(fetched, 0, 2);",
        "fetched += apart;",
    ]
    ends = [str(lanes)] * (vectors - 1) + ["rest"]
    body = [
        f"vec {', '.join(f'c{r}_{v} = {{0}}' for r, v in grid)};",
        *block("for (ptrdiff_t k = 0; k < count; k++)", walk),
        *(
            f"store_vector(out + {r} * stride + {v * lanes}, c{r}_{v}, {ends[v]}, accumulate);"
            for r, v in grid
        ),
    ]
    head = [
        f"static void sum_tile_{rows}x{vectors}(ptrdiff_t count, const int *restrict kept, const real *restrict in,",
        "    const real *restrict panel, real *restrict out, ptrdiff_t stride, ptrdiff_t rest,",
    ]
    return [*head, *block("    int accumulate, const real *fetched, ptrdiff_t apart)", body), ""]
