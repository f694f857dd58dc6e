"""What a kernel is said to find in memory: no column that it wrote itself, and every other one that it reads."""

from __future__ import annotations

import pytest
from named_networks import NETWORKS

from graphbptt.codegen.lookup import Lookup
from graphbptt.codegen.rows.accesses import find_accesses
from graphbptt.codegen.rows.row_groups import SequenceArguments
from graphbptt.compiler import compile_network
from graphbptt.ir.expression import Load
from graphbptt.ir.operations import Assignment, Compute, Row, View

ARGUMENTS = SequenceArguments(Lookup.of(compile_network(NETWORKS[0]())))


def put(start: int, stop: int, accumulate: bool = False, shift: int = -1) -> Assignment:
    """Columns of a buffer, from parameters."""
    return Assignment(View("a", start, stop, shift), Load(Row(start, stop)), accumulate)


def find_reads(*items: Assignment) -> list[View]:
    reads, writes = find_accesses(ARGUMENTS, (Compute(items),))
    assert set(writes) == {item.out for item in items}
    return list(reads)


def test_what_is_written_is_not_found() -> None:
    assert find_reads(put(0, 4)) == []
    assert find_reads(put(0, 4, accumulate=True), put(0, 4)) == []


def test_what_is_added_to_is_found() -> None:
    assert find_reads(put(0, 4, accumulate=True)) == [View("a", 0, 4, -1)]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ([(0, 2)], [(2, 6)]),
        ([(2, 4)], [(0, 2), (4, 6)]),
        ([(4, 8)], [(0, 4)]),
        ([(0, 2), (2, 6)], []),
        ([(6, 8)], [(0, 6)]),
    ],
)
def test_of_what_is_written_in_part_the_rest_is_found(
    written: list[tuple[int, int]], found: list[tuple[int, int]]
) -> None:
    items = [put(*columns) for columns in written]
    assert find_reads(put(0, 6, accumulate=True), *items) == [View("a", *columns, -1) for columns in found]


def test_other_steps_are_found() -> None:
    assert find_reads(put(0, 4, shift=0), put(0, 4, accumulate=True)) == [View("a", 0, 4, -1)]
