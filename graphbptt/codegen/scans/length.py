"""How long the C text of a plan may be for a compiler."""

from __future__ import annotations

from graphbptt.errors import BackendError

__all__ = ["LONGEST", "check_length"]

LONGEST = 25_000
"""The longest text, in lines, that is compiled. GCC took 20 s over 16,000 lines for 350 populations, each with another
activation, and 8 s over 20,000 for 300 of different sizes, most of them products. Usual networks have 600 to 1,500."""


def check_length(lines: int) -> None:
    """Refuse a text so long that to compile it takes longer than to train with NumPy may.

    Raises
    ------
    BackendError
        It is one, or begins as one.
    """
    if lines > LONGEST:
        raise BackendError(
            f"the network's C has more than {LONGEST:,} lines: "
            "use fewer and larger populations, or the numpy backend"
        )
