"""Products with weights kept as entries as launches: which states are turned, and how many rows at a time."""

from __future__ import annotations

import pytest

from graphbptt.codegen.kernels.fixed_kernels import CONTRACT_ENTRIES, MULTIPLY_ENTRIES
from graphbptt.codegen.kernels.turn_kernel import TURN_ROWS
from graphbptt.codegen.launches.commands import Launch
from graphbptt.codegen.launches.device_arrays import Region
from graphbptt.codegen.schedules.entry_launches import (
    ROOM,
    WORTH,
    EntryParts,
    contract_entries,
    multiply_entries,
)

LANES = 32


def claim(name: str, rows: int, columns: int) -> Region:
    return Region(name, 0, rows, columns, columns)


def lay_out(rows: int, units: int) -> Region:
    """States among others."""
    return Region("state0", 5, rows, units, units + 9)


def count_entries(size: int) -> Region:
    return Region("S0", 0, 1, size, size)


def multiply(rows: int, units: int, entries: int, accumulate: bool = False) -> list[Launch]:
    weights = EntryParts(Region("starts", 0, 1, units + 1, units + 1), *(count_entries(entries),) * 2)
    out = Region("net0", 3, rows, units, units)
    return list(multiply_entries(claim, lay_out(rows, units), weights, out, accumulate))


def contract(rows: int, units: int, entries: int) -> list[Launch]:
    source, delta = lay_out(rows, units), Region("netdelta0", 0, rows, units, units)
    parts = [count_entries(entries)] * 3
    return list(contract_entries(claim, source, delta, *parts, LANES))


def find(launch: Launch, name: str) -> int:
    """A number that a kernel is given."""
    signatures = (MULTIPLY_ENTRIES.signature, CONTRACT_ENTRIES.signature, TURN_ROWS)
    signature = {item.kernel: item for item in signatures}
    number = dict(zip(signature[launch.kernel].names, launch.arguments, strict=True))[name]
    assert isinstance(number, int)
    return number


def test_few_products_are_read_where_they_lie() -> None:
    (product,), (derivative,) = multiply(32, 256, 4096), contract(32, 256, 4096)
    assert (find(product, "source_stride"), find(product, "source_step")) == (265, 1)
    assert [find(derivative, f"delta_{what}") for what in ("stride", "step")] == [256, 1]


def test_many_products_are_read_by_neighbours_side_by_side() -> None:
    """At one step of the sparse benchmark."""
    turn, product = multiply(32, 10_000, 1_000_000)
    assert turn.kernel == "turn_rows"
    assert product.threads == 320_000
    assert turn.grid == 313  # tiles, of 32 columns each
    assert (find(product, "source_stride"), find(product, "source_step")) == (1, 32)
    assert turn.writes == product.reads[:1]
    assert turn.writes[0].size == 320_000


def test_a_single_row_is_turned_as_it_is() -> None:
    (product,) = multiply(1, 10_000, 2 * WORTH)
    assert (find(product, "source_step"), find(product, "count")) == (1, 1)


@pytest.mark.parametrize("rows", [1, 100, 3200, 7777])
def test_rows_that_have_no_room_are_turned_one_stretch_after_the_other(rows: int) -> None:
    units, entries = 10_000, 2 * WORTH
    launches = contract(rows, units, entries)
    pieces = [launch for launch in launches if launch.kernel == "contract_entries"]
    turns = [launch for launch in launches if launch.kernel == "turn_rows"]
    assert len(turns) == 2 * len(pieces)
    assert [launch.threads for launch in pieces] == [entries * LANES] * len(pieces)
    counts = [find(launch, "count") for launch in pieces]
    assert sum(counts) == rows
    assert [find(launch, "accumulate") for launch in pieces] == [0, *[1] * (len(pieces) - 1)]
    assert all(count == counts[0] and count % LANES == 0 for count in counts[:-1])
    read = [launch.reads[0] for launch in turns]
    for region, whole in zip(read[:2], (lay_out(rows, units), claim("netdelta0", rows, units)), strict=True):
        stretches = [piece for piece in read if piece.array == region.array]
        assert stretches[0].offset == whole.offset
        assert stretches[-1].stop == whole.stop
    for one, other in zip(turns[::2], turns[1::2], strict=True):
        assert one.writes[0].size + other.writes[0].size <= ROOM


def test_a_product_that_is_added_reads_what_is_there() -> None:
    _, product = multiply(64, 10_000, 1_000_000, accumulate=True)
    assert product.writes[0] in product.reads
    _, product = multiply(64, 10_000, 1_000_000)
    assert product.writes[0] not in product.reads
