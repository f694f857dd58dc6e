"""What differs between C and CUDA; all other text is common to both."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CUDA", "C", "Dialect"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """A member of the C family.

    Attributes
    ----------
    name : str
        What it is called.
    headers : tuple of str
        The headers that generated text includes.
    inline : str
        What precedes a function that is to be inlined.
    restrict : str
        How a pointer says that nothing else points to what it points to.
    """

    name: str
    headers: tuple[str, ...]
    inline: str
    restrict: str


C = Dialect("C", ("math.h", "stddef.h", "string.h"), "static inline", "restrict")
# CUDA's run-time compiler knows the functions of these headers without them. Of a function that no kernel of a text
# calls it would warn.
CUDA = Dialect("CUDA", (), "[[maybe_unused]] static __device__ __forceinline__", "__restrict__")
