"""Where packed matrices have numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import Case, cases

from graphbptt.codegen.products.spans import find_spans
from graphbptt.compiler import compile_network
from graphbptt.ir.indices import Pattern
from graphbptt.ir.plan import Matrix, MatrixEntry


def mark(matrix: Matrix) -> np.ndarray:
    """Where it has numbers."""
    marks = np.zeros((matrix.rows, matrix.columns), bool)
    for entry in matrix.entries:
        marks[entry.places()] = True
    return marks


def enclose(matrix: Matrix, transposed: bool, columns: int) -> np.ndarray:
    """What lies inside the spans."""
    depth = matrix.columns if transposed else matrix.rows
    inside, start = np.zeros((depth, columns), bool), 0
    spans = find_spans(matrix, transposed, columns)
    for span in spans:
        inside[span.top : span.bottom, start : span.stop] = True
        start = span.stop
    assert not spans or start == columns
    return inside if spans else ~inside


def test_spans_are_as_short_as_can_be() -> None:
    pattern = Pattern(np.array([0, 1, 1, 3]), np.array([2, 0, 1, 0]))
    entries = (
        MatrixEntry("dense", None, range(2, 6), range(3)),
        MatrixEntry("listed", None, (7, 1), (3, 4)),
        MatrixEntry("diagonal", None, (0, 5), (5, 6), diagonal=True),
        MatrixEntry("sparse", None, range(3, 7), range(6, 9), pattern=pattern),
    )
    matrix = Matrix("W0", 8, 10, entries, "net0")
    for marks, transposed in ((mark(matrix), False), (mark(matrix).T, True)):
        inside = enclose(matrix, transposed, marks.shape[1])
        for column, wanted in zip(inside.T, marks.T, strict=True):
            rows, places = np.flatnonzero(column), np.flatnonzero(wanted)
            assert len(rows) == (np.ptp(places) + 1 if len(places) else 0)
            assert not len(rows) or rows[0] == places[0]


@given(case=cases(), data=st.data())
def test_spans_enclose_all_numbers(case: Case, data: st.DataObject) -> None:
    for matrix in compile_network(case.fold()).matrices:
        for marks, transposed in ((mark(matrix), False), (mark(matrix).T, True)):
            columns = data.draw(st.integers(1, marks.shape[1]), "columns")
            assert (enclose(matrix, transposed, columns) | ~marks[:, :columns]).all()
