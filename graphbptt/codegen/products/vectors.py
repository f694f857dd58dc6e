"""Vectors of a processor, as those that GCC and Clang have (``vector_size``).

So the text is plain C on every machine: where they are wider than the machine's, a compiler splits them.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from graphbptt.codegen.precision import Precision

__all__ = ["SMALLEST", "VectorUnit", "emit_vectors"]


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
"""


def emit_vectors(unit: VectorUnit, precision: Precision) -> list[str]:
    """The lines of ``vec``, the vectors that all else is made of, and of what loads and stores them."""
    lanes = unit.lanes(precision)
    sizes = {"lanes": lanes, "size": unit.size, "align": unit.size // lanes}
    return [*Template(VECTORS).substitute(sizes).splitlines(), ""]
