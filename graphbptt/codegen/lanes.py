"""Several threads to a row: as many as a multiprocessor runs at once, its lanes.

Each lane takes every so manyth unit, so that neighbours read what lies side by side; what all lanes have is then put
together lane by lane, always in the same order. In C a row has one lane.
"""

from __future__ import annotations

from graphbptt.codegen.dialect import Dialect

__all__ = ["WARP", "count_lanes", "emit_lanes", "lane_loop"]

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


def lane_loop(width: int, lane: str = "j") -> str:
    """The head of a loop over those of `width` units that are a lane's.

    >>> lane_loop(75)
    'for (ptrdiff_t k = j; k < 75; k += LANES)'
    """
    return f"for (ptrdiff_t k = {lane}; k < {width}; k += LANES)"
