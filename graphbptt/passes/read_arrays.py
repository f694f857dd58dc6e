"""What a user gives as numbers -> a NumPy array, or what to give instead.

Arrays of other libraries are read where NumPy can read them. Where it cannot, since they lie on a GPU or are of a type
that it does not have, the error says which conversion helps; that of a tensor has been tried.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import DataError, Problem

__all__ = ["UNREADABLE", "describe_foreign", "to_array"]

Array = npt.NDArray[Any]

UNREADABLE = (ValueError, TypeError, OverflowError, RuntimeError)
"""What NumPy, and the libraries that it asks for their numbers, raise where there is no array to be had."""

CONVERSIONS = (
    ("get",),  # CuPy's arrays
    ("detach", "cpu"),
    ("detach", "cpu", "float"),  # tensors of bfloat16 and of the types of eight bits
    ("detach", "cpu", "to_dense"),
)
"""Methods that lead from an array of another library to one that NumPy can read; the first that do are named."""


def to_array(name: str, given: npt.ArrayLike) -> Array:
    """A field as an array.

    Raises
    ------
    DataError
        It is none: sequences of different lengths, or an array of another library that NumPy cannot read as it is.
    """
    try:
        return np.asarray(given)
    except UNREADABLE as error:
        what, remedy = f"is no array: {error}", "give an array of real numbers"
        if isinstance(given, list | tuple):
            remedy = "pad its sequences to one length, give `lengths`"
        raise DataError(
            Problem(f"field {name}", *(describe_foreign(name, given) or (what, remedy)))
        ) from None


def describe_foreign(name: str, given: object) -> tuple[str, str] | None:
    """What keeps NumPy from an array of another library, or from a list of such, and what to give in its place.

    None where there is no such array.
    """
    item = given
    while isinstance(item, list | tuple) and item:
        item = item[0]
    verb = "is" if item is given else "holds"
    if getattr(item, "is_meta", False):
        what = f"{verb} a tensor on PyTorch's meta device, which has a shape and no numbers"
        return what, "give one that is on a CPU or a GPU"
    methods = None if _can_read(item, ()) else next((m for m in CONVERSIONS if _can_read(item, m)), None)
    if methods is None:
        return None
    what = "an array on a GPU, where NumPy cannot read it"
    if "detach" in methods:
        what = "a tensor that NumPy cannot read as it is"
    chain = "".join(f".{method}()" for method in methods)
    return f"{verb} {what}", f"give {name}{chain}" if item is given else f"give [t{chain} for t in {name}]"


def _can_read(item: Any, methods: tuple[str, ...]) -> bool:
    """Whether these methods lead from an item to an array of real numbers."""
    try:
        for method in methods:
            item = getattr(item, method)()
        return np.asarray(item).dtype.kind in "biuf"
    except (AttributeError, *UNREADABLE):
        return False
