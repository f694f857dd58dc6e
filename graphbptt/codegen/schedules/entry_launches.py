"""Products with weights that are kept as entries, and the derivatives by these, as launches.

A GPU reads 32 bytes of memory at once. Where an entry leads to a number of a row of states, the numbers beside it are
read in vain: at other entries their neighbours, too, are anywhere in the row. So states are turned first, (unit, row)
in place of (row, unit): an entry then leads to a stretch of numbers, of as many rows or examples as there are, which
the lanes of a warp read together. In bytes, for 1,000,000 entries between 10,000 units in single precision, of 32
examples and 100 steps:

- a product at one step makes 32,000,000 multiplications. As they lie, each reads 32 bytes of the states, 1,024 MB in
  all; turned 4 bytes, 128 MB, and to turn them takes 3 MB. Weights and rows, 8 bytes an entry, are read once for all
  lanes that are examples, 8 MB; by lanes that are columns they would be for each example, 256 MB. There is a thread for
  each of the 320,000 results. Its neighbours write to other rows, 32 bytes for each number, 10 MB, and read as much
  where they add to what is there; results that were turned back would take 4 MB, and a launch that takes longer than
  these save.
- the derivative adds up 3,200 rows for each entry. As they lie, both factors are 32 bytes for each product, of which
  neighbours share the one, or 102 GB; turned they are 4, or 13 GB, and to turn them takes 0.5 GB. An entry has a warp,
  so that there are 32,000,000 threads in place of 1,000,000, which add up 100 products each; one lane of it writes, 32
  bytes for each result, 32 MB.

Of more rows than have room in the second cache of a GPU, where entries find them anew, so many are turned at a time.
Where there is little to do, a launch takes longer than it saves. The sum of each result has one order, with turned
states or without: over entries by their rows in a product; in a derivative over each lane's rows, then over lanes, then
over what was turned at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from graphbptt.codegen.kernels.fixed_kernels import CONTRACT_ENTRIES, MULTIPLY_ENTRIES
from graphbptt.codegen.kernels.turn_kernel import TURN_ROWS, count_threads
from graphbptt.codegen.lanes import WARP
from graphbptt.codegen.launches.commands import Launch
from graphbptt.codegen.launches.device_arrays import Region
from graphbptt.codegen.launches.launch_kernel import launch

__all__ = ["Claim", "EntryParts", "contract_entries", "multiply_entries"]

Claim = Callable[[str, int, int], Region]
"""Gives scratch by its name, and so many rows and columns."""

TURNED, TURNED_DELTAS = "turned", "turned_deltas"
"""Scratch: what was turned last."""

WORTH = 2**20
"""Multiplications from which on states are turned: with fewer, single numbers are read in less time than a launch takes
by all multiprocessors, of which each reads four in a clock. An estimate."""

ROOM = 2**22
"""Numbers that are turned at a time: of either precision they have room in a second cache of 40 MB, as an A100 has."""


class EntryParts(NamedTuple):
    """Weights as entries: where those of each column of a product begin, the row and the weight of each."""

    starts: Region
    rows: Region
    values: Region


class Factor(NamedTuple):
    """States or deltas: how many numbers apart their rows and their units lie."""

    region: Region
    stride: int
    step: int

    def arguments(self, name: str) -> dict[str, Region | int]:
        """What a kernel is told of it, by the names of its parameters."""
        return {name: self.region, f"{name}_stride": self.stride, f"{name}_step": self.step}


def multiply_entries(
    claim: Claim, source: Region, weights: EntryParts, out: Region, accumulate: bool
) -> Iterator[Launch]:
    """``out (+)= source @ weights``."""
    turns = source.rows > 1 and source.rows * weights.values.size >= WORTH
    for first, count in _cut(source.rows, source.columns if turns else 0):
        results = _take(out, first, count)
        states, turning = _read(claim, TURNED, _take(source, first, count), turns)
        yield from turning
        yield launch(
            MULTIPLY_ENTRIES.signature,
            results.size,
            reads=(states.region, *weights, results if accumulate else None),
            writes=(results,),
            **states.arguments("source"),
            count=count,
            starts=weights.starts,
            rows=weights.rows,
            values=weights.values,
            out=results,
            out_stride=out.stride,
            accumulate=int(accumulate),
        )


def contract_entries(
    claim: Claim, source: Region, delta: Region, rows: Region, columns: Region, out: Region, lanes: int
) -> Iterator[Launch]:
    """``source.T @ delta`` at some rows and columns, each by so many lanes."""
    turns = source.rows * out.size >= WORTH
    for first, count in _cut(source.rows, source.columns + delta.columns if turns else 0):
        states, turning = _read(claim, TURNED, _take(source, first, count), turns)
        deltas, turning_deltas = _read(claim, TURNED_DELTAS, _take(delta, first, count), turns)
        yield from (*turning, *turning_deltas)
        yield launch(
            CONTRACT_ENTRIES.signature,
            out.size * lanes,
            reads=(states.region, deltas.region, rows, columns, out if first else None),
            writes=(out,),
            **states.arguments("source"),
            **deltas.arguments("delta"),
            count=count,
            rows=rows,
            columns=columns,
            gradient=out,
            accumulate=int(first > 0),
        )


def _cut(rows: int, width: int) -> Iterator[tuple[int, int]]:
    """The first row and the number of rows of each piece; whole warps of rows that are turned at a time."""
    most = max(ROOM // width // WARP, 1) * WARP if width else rows
    for first in range(0, rows, most):
        yield first, min(most, rows - first)


def _take(region: Region, first: int, count: int) -> Region:
    """Some of its rows."""
    return replace(region, offset=region.offset + first * region.stride, rows=count)


def _read(claim: Claim, name: str, region: Region, turned: bool) -> tuple[Factor, tuple[Launch, ...]]:
    """Where a kernel finds some rows, and what turns them first, where they are to be."""
    if not turned:
        return Factor(region, region.stride, 1), ()
    out = claim(name, region.columns, region.rows)
    turning = launch(
        TURN_ROWS,
        count_threads(region.rows, region.columns),
        reads=(region,),
        writes=(out,),
        count=region.rows,
        columns=region.columns,
        source=region,
        source_stride=region.stride,
        out=out,
    )
    return Factor(out, 1, region.rows), (turning,)
