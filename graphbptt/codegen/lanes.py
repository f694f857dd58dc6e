"""Several threads to a row: as many as a multiprocessor runs at once, its lanes.

Each lane takes every so manyth unit, so that neighbours read what lies side by side; what all lanes have is then put
together lane by lane, always in the same order. In C a row has one lane.
"""

from __future__ import annotations

from graphbptt.codegen.dialect import Dialect

__all__ = ["WARP", "count_lanes", "emit_lanes", "join_lanes", "unit_loop"]

WARP = 32
"""The lanes that a multiprocessor runs at once."""

_LANES = {
    "CUDA": f"""
/* Of a row; all of them are there, since none is left out by itself. In the end each has what they have together. */
#define LANES {WARP}
#define JOIN_LANES(x, joined) \\
    for (int apart = LANES / 2; apart > 0; apart /= 2) {{ \\
        const real other = __shfl_xor_sync(0xffffffffu, x, apart); \\
        x = joined; \\
    }}
""",
    "C": """
#define LANES 1
#define JOIN_LANES(x, joined)
""",
}


def count_lanes(dialect: Dialect) -> int:
    """How many threads a row has."""
    return WARP if dialect.name == "CUDA" else 1


def emit_lanes(dialect: Dialect) -> list[str]:
    """What statements need that lanes share."""
    return _LANES[dialect.name].splitlines()


def unit_loop(width: int, lanes: bool) -> str:
    """The head of a loop over the units ``k`` of a row: all of them, or those of the lane ``j``.

    >>> unit_loop(75, lanes=True)
    'for (ptrdiff_t k = j; k < 75; k += LANES)'
    """
    return f"for (ptrdiff_t k = {'j' if lanes else 0}; k < {width}; {'k += LANES' if lanes else 'k++'})"


def join_lanes(number: str, joined: str, lanes: bool) -> list[str]:
    """Put what lanes have together, their own and that of an ``other`` one; a thread that has all has nothing to join.

    >>> join_lanes("sum", "sum + other", lanes=True)
    ['JOIN_LANES(sum, sum + other)']
    """
    return [f"JOIN_LANES({number}, {joined})"] if lanes else []
