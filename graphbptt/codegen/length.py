"""How long the C text of a plan is for a compiler."""

from __future__ import annotations

from graphbptt.codegen.source import Source
from graphbptt.errors import BackendError

__all__ = ["LONGEST", "check_length", "count_lines"]

LONGEST = 25_000
"""The longest text, in lines, that is compiled. GCC took 20 s over 16,000 lines for 350 populations, each with another
activation, and 8 s over 20,000 for 300 of different sizes, most of them products. Usual networks have 600 to 1,500."""


def count_lines(source: Source) -> int:
    """The lines of a text without those of tables, which a compiler only copies."""
    return source.text.count("\n") - sum(scan.table_rows for scan in source.scans.values())


def check_length(source: Source) -> None:
    """Refuse a text so long that to compile it takes longer than to train with NumPy may.

    Raises
    ------
    BackendError
        It is one.
    """
    lines = count_lines(source)
    if lines > LONGEST:
        raise BackendError(
            f"the network's C has {lines:,} lines, more than {LONGEST:,}: "
            "use fewer and larger populations, or the numpy backend"
        )
