"""Which vectors the processor has that a compiler's flags ask for, by the macros it predefines."""

from __future__ import annotations

from graphbptt.codegen.products.vectors import SMALLEST, VectorUnit

__all__ = ["find_vectors"]

_BY_MACRO = (
    ("__AVX512F__", VectorUnit(64, 32)),
    ("__AVX__", VectorUnit(32, 16)),
    ("__aarch64__", VectorUnit(16, 32)),
)


def find_vectors(macros: str) -> VectorUnit:
    """The widest vectors that a list of ``#define`` lines tells of.

    >>> find_vectors("#define __SSE2__ 1\\n#define __AVX__ 1\\n")
    VectorUnit(size=32, registers=16)
    """
    defined = {line.split()[1] for line in macros.splitlines() if line.startswith("#define ")}
    return next((unit for macro, unit in _BY_MACRO if macro in defined), SMALLEST)
