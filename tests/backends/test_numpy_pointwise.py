"""Which calls of NumPy become one: those that do the same to neighbouring columns."""

from __future__ import annotations

import pytest

from graphbptt.ir.expression import Load
from graphbptt.ir.operations import Assignment, Compute, View
from graphbptt_numpy.pointwise import compile_compute


@pytest.mark.parametrize(("width", "calls"), [(2, 1), (4, 2)])
def test_copies_of_neighbours_are_joined_unless_they_are_repeated(width: int, calls: int) -> None:
    """What is narrower than its result is repeated along it: a a b b is not a b a b."""
    copies = [
        Assignment(View("out", k * width, (k + 1) * width), Load(View("in", 2 * k, 2 * k + 2)))
        for k in range(2)
    ]
    assert len(compile_compute(Compute(tuple(copies)))) == calls
