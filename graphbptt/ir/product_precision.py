"""How many digits matrix products keep of their factors.

    precision := full | tf32 | bfloat16

Whatever it is, their sums, states, derivatives and parameters have all digits of the type of numbers. With a precision
below `full` a backend may round factors before it multiplies them: it has kernels that are faster for it.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["PRODUCT_BITS", "ProductPrecision", "refuse_precision"]

ProductPrecision = Literal["full", "tf32", "bfloat16"]

PRODUCT_BITS: dict[str, int] = {"tf32": 10, "bfloat16": 7}
"""How many bits of a factor are kept behind the first one; `full` keeps all."""


def refuse_precision(precision: object, dtype: object = None) -> tuple[str, str] | None:
    """What is wrong with a precision, for numbers of this type, and what to write instead; None if it can be.

    >>> refuse_precision("tf32", "float32")
    >>> refuse_precision("tf32", "float64")
    ('products of float64 are not rounded to tf32', 'write full here, or dtype: float32')
    """
    known = ("full", *PRODUCT_BITS)
    if isinstance(precision, str) and precision in ("float32", "float64"):
        said = f"{precision!r} is a dtype"
        return said, f"write dtype: {precision}, and precision: full, where products keep all its digits"
    if not isinstance(precision, str) or precision not in known:
        return f"{precision!r} is no precision of products", f"write {', '.join(known[:-1])} or {known[-1]}"
    if dtype == "float64" and precision != "full":
        return f"products of float64 are not rounded to {precision}", "write full here, or dtype: float32"
    return None
