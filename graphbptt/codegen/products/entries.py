"""Products with weights that are kept as entries, in C, and the derivatives by these.

    entries := starts sources values        of each column of the result: where its entries begin, the row and the
                                            weight of each (CSC; of the transposed matrix it is the CSR)
    turned  := (unit, ...)                  the states of some examples, those of one unit side by side

Many examples are multiplied at once: each entry is read once for all of them, and they stay in registers until their
sum is complete. For that states are turned first, which costs little beside the product.
"""

from __future__ import annotations

from string import Template

from graphbptt.codegen.precision import Precision
from graphbptt.codegen.products.vectors import VectorUnit
from graphbptt.codegen.text import block
from graphbptt.ir.plan import SparseBlock

__all__ = ["count_sampled", "count_turned", "declare_entries", "emit_entries", "has_narrow_indices"]

MOST_EXAMPLES = 32
MOST_VECTORS = 8
"""Of this many examples or vectors the sums stay in registers."""

SAMPLED_VECTORS = 4
"""Of so many steps and examples at once entries are contracted: the states of a unit stay in registers, and the turned
deltas of all units, if there are not too many, in a cache."""


def has_narrow_indices(weights: SparseBlock) -> bool:
    """Whether a C ``int`` counts its entries; SciPy's routines take the others."""
    return max(weights.pattern.size, weights.rows, weights.columns) < 2**31


TURN = """\
/* The columns of some rows, each column's numbers side by side, `apart` numbers from the next one's. */
static inline void turn(ptrdiff_t rows, ptrdiff_t columns, const real *restrict in, ptrdiff_t in_stride,
                        real *restrict turned, ptrdiff_t apart) {
    for (ptrdiff_t first = 0; first < columns; first += 16) {
        const ptrdiff_t last = first + 16 < columns ? first + 16 : columns;
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t j = first; j < last; j++) turned[j * apart + r] = in[r * in_stride + j];
    }
}
"""

MULTIPLY_HEAD = """\
/* out (+)= in @ W for W as entries; `turned` has room for as many rows of `in` as go at a time. */
void multiply_entries(ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const real *restrict in,
                      ptrdiff_t in_stride, const int *restrict starts, const int *restrict sources,
                      const real *restrict values, real *restrict turned, real *restrict out,
                      ptrdiff_t out_stride, int accumulate)"""

MULTIPLY = """ {
    while (rows > 0) {
        ptrdiff_t height = $most;
        while (height > rows) height /= 2;
        turn(height, depth, in, in_stride, turned, height);
        switch (height) {
$cases
        }
        in += height * in_stride;
        out += height * out_stride;
        rows -= height;
    }
}
"""


CONTRACT = """\
/* gradient = the entries of in' @ delta in rows `begin` to `end` of the matrix, summed over `rows` steps and examples;
   `turned` has room for $sampled numbers of each row and each column. */
void contract_entries(ptrdiff_t begin, ptrdiff_t end, ptrdiff_t rows, ptrdiff_t columns, const real *restrict in,
                      ptrdiff_t in_stride, const real *restrict delta, ptrdiff_t delta_stride,
                      const int *restrict starts, const int *restrict positions, real *restrict turned,
                      real *restrict gradient) {
    real *const deltas = turned + (end - begin) * $sampled;
    for (ptrdiff_t k = starts[begin]; k < starts[end]; k++) gradient[k] = 0;
    for (ptrdiff_t first = 0; first < rows; first += $sampled) {
        const ptrdiff_t height = rows - first < $sampled ? rows - first : $sampled;
        if (height < $sampled) memset(turned, 0, sizeof(real) * $sampled * (end - begin + columns));
        turn(height, end - begin, in + first * in_stride + begin, in_stride, turned, $sampled);
        turn(height, columns, delta + first * delta_stride, delta_stride, deltas, $sampled);
        for (ptrdiff_t i = begin; i < end; i++) {
            const real *const states = turned + (i - begin) * $sampled;
$states
            for (ptrdiff_t k = starts[i]; k < starts[i + 1]; k++) {
                const real *const with = deltas + (ptrdiff_t)positions[k] * $sampled;
                gradient[k] += add_lanes($products);
            }
        }
    }
}
"""


def declare_entries() -> list[str]:
    """The lines that tell of ``multiply_entries`` ahead of its definition."""
    return f"{MULTIPLY_HEAD};".splitlines()


def emit_entries(unit: VectorUnit, precision: Precision) -> list[str]:
    """The lines of ``multiply_entries`` and ``contract_entries``, and of what they call."""
    lanes = unit.lanes(precision)
    heights = _list_heights(lanes)
    lines = [line for height in heights for line in _emit_sums(height, lanes)]
    call = "(columns, starts, sources, values, turned, out, out_stride, accumulate); break;"
    cases = "\n".join(f"        case {height}: sum_entries_{height}{call}" for height in heights)
    multiply = MULTIPLY_HEAD + Template(MULTIPLY).substitute(most=heights[0], cases=cases)
    contract = _emit_contraction(lanes)
    return [*TURN.splitlines(), "", *lines, *multiply.splitlines(), "", *contract, ""]


def count_turned(rows: int, unit: VectorUnit, precision: Precision) -> int:
    """How many of so many examples ``multiply_entries`` turns at a time.

    >>> from graphbptt.codegen.precision import FLOAT32
    >>> [count_turned(rows, VectorUnit(32, 16), FLOAT32) for rows in (0, 1, 7, 32, 100)]
    [0, 1, 4, 32, 32]
    """
    return next((height for height in _list_heights(unit.lanes(precision)) if height <= rows), 0)


def _list_heights(lanes: int) -> list[int]:
    """The numbers of examples that are multiplied at once, the largest first."""
    most = min(MOST_EXAMPLES, MOST_VECTORS * lanes)
    return [height for height in (32, 16, 8, 4, 2, 1) if height <= most]


def _emit_sums(height: int, lanes: int) -> list[str]:
    """The sums of all columns, for `height` examples: in whole vectors, with zeros behind the last example, since a
    compiler may round narrower ones differently."""
    parts = range(-(-height // lanes))
    loads = [f"load_vector(from + {part * lanes})" for part in parts]
    if height < lanes:
        loads = [f"(vec){{{', '.join(f'from[{r}]' for r in range(height))}}}"]
    entry = [
        f"const real *const from = turned + (ptrdiff_t)sources[k] * {height};",
        *(f"s{part} += values[k] * {load};" for part, load in enumerate(loads)),
    ]
    column = [
        f"vec {', '.join(f's{part} = {{0}}' for part in parts)};",
        *block("for (ptrdiff_t k = starts[first + j]; k < starts[first + j + 1]; k++)", entry),
        *(f"*(vec_in_memory *)&sums[j][{part * lanes}] = s{part};" for part in parts),
    ]
    write = [
        "real *const to = out + r * out_stride + first;",
        "for (ptrdiff_t j = 0; j < width; j++) to[j] = accumulate ? to[j] + sums[j][r] : sums[j][r];",
    ]
    body = [
        f"real sums[16][{max(height, lanes)}];",
        "const ptrdiff_t width = columns - first < 16 ? columns - first : 16;",
        *block("for (ptrdiff_t j = 0; j < width; j++)", column),
        *block(f"for (ptrdiff_t r = 0; r < {height}; r++)", write),
    ]
    head = [
        f"static void sum_entries_{height}(ptrdiff_t columns, const int *restrict starts, const int *restrict sources,",
        "    const real *restrict values, const real *restrict turned, real *restrict out, ptrdiff_t out_stride,",
    ]
    loop = block("for (ptrdiff_t first = 0; first < columns; first += 16)", body)
    return [*head, *block("    int accumulate)", loop), ""]


def count_sampled(unit: VectorUnit, precision: Precision) -> int:
    """How many numbers of a unit ``contract_entries`` has turned at a time."""
    return SAMPLED_VECTORS * unit.lanes(precision)


def _emit_contraction(lanes: int) -> list[str]:
    parts = [(f"a{p}", p * lanes) for p in range(SAMPLED_VECTORS)]
    states = "\n".join(f"            const vec {name} = load_vector(states + {at});" for name, at in parts)
    products = " + ".join(f"{name} * load_vector(with + {at})" for name, at in parts)
    numbers = {"sampled": SAMPLED_VECTORS * lanes, "states": states, "products": products}
    return [*_emit_sum_of_lanes(lanes), *Template(CONTRACT).substitute(numbers).splitlines()]


def _emit_sum_of_lanes(lanes: int) -> list[str]:
    """``add_lanes``: the two halves of a vector are added, and those of the sum, until one number is left."""
    lines, value = [], "all"
    while lanes > 2:
        lanes //= 2
        lines += [
            f"typedef real part_{lanes} __attribute__((vector_size({lanes} * sizeof(real))));",
            f"part_{lanes} halves_{lanes}[2];",
            f"memcpy(halves_{lanes}, &{value}, sizeof halves_{lanes});",
            f"const part_{lanes} sum_{lanes} = halves_{lanes}[0] + halves_{lanes}[1];",
        ]
        value = f"sum_{lanes}"
    return [*block("static inline real add_lanes(vec all)", [*lines, f"return {value}[0] + {value}[1];"]), ""]
