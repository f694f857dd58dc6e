"""Sums over all steps and examples, as launches: of a buffer's columns, or of what kernels write to be added up.

Many rows are added up in two passes: as many sums as each of them has summands, and then these, always in the same
order. Where kernels write few columns each, as those of connections between single units do, what several write is
added up at once: it lies block behind block, and a table says where each column does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from math import isqrt

import numpy as np

from graphbptt.codegen.kernels.fixed_kernels import SUM_BLOCKS
from graphbptt.codegen.kernels.write_kernels import Kernel, Reduction
from graphbptt.codegen.launches.commands import Launch
from graphbptt.codegen.launches.device_arrays import DeviceArray, Region
from graphbptt.codegen.launches.launch_kernel import launch
from graphbptt.codegen.schedules.entry_launches import Claim
from graphbptt.codegen.schedules.fixed_launches import sum_rows

__all__ = ["SUMMANDS", "join_reductions", "lay_blocks", "place_blocks", "sum_blocks", "sum_columns"]

SUMMANDS, SUMS = "summands", "sums"
"""Scratch: what is to be added up, and the sums of its parts."""

WIDEST = 128
"""Columns of blocks that are added up at once: more of them have work enough for launches of their own, and would take
much memory."""


def join_reductions(reductions: Iterable[Reduction]) -> Iterator[list[Reduction]]:
    """Those whose kernels write to blocks that are added up at once; each other one by itself."""
    joined: list[Reduction] = []
    for reduction in reductions:
        if not isinstance(reduction.source, Kernel):
            yield [reduction]
            continue
        if joined and sum(item.row.width for item in (*joined, reduction)) > WIDEST:
            yield joined
            joined = []
        joined.append(reduction)
    if joined:
        yield joined


def sum_columns(claim: Claim, source: Region, out: Region) -> Iterator[Launch]:
    """The sum of each column."""
    parts = _count_parts(source.rows)
    if parts > 2:
        sums = claim(SUMS, parts, source.columns)
        yield sum_rows(source, sums)
        source = sums
    yield sum_rows(source, out)


def lay_blocks(claim: Claim, rows: int, widths: Sequence[int]) -> list[Region]:
    """Room for blocks of so many rows, one behind the other."""
    claim(SUMMANDS, rows, sum(widths))
    begins = accumulate(widths, initial=0)
    return [
        Region(SUMMANDS, rows * begin, rows, width, width)
        for begin, width in zip(begins, widths, strict=False)
    ]


def place_blocks(name: str, widths: Sequence[int]) -> DeviceArray:
    """The table of blocks: behind how many columns of others each column's block lies, its own place there, and how
    many it has.

    >>> place_blocks("blocks", [2, 1]).values.tolist()
    [[0, 0, 2], [0, 1, 2], [2, 0, 1]]
    """
    begins = accumulate(widths, initial=0)
    entries = [
        (begin, column, width)
        for begin, width in zip(begins, widths, strict=False)
        for column in range(width)
    ]
    table = np.array(entries, np.int32).reshape(-1, 3)
    return DeviceArray(name, "constant", table.shape, "int32", table)


def sum_blocks(
    claim: Claim, table: DeviceArray, blocks: Sequence[Region], outs: Sequence[Region]
) -> Iterator[Launch]:
    """The sum of each column of all blocks; those of a block go to one place each, most of which lie side by side."""
    columns, rows = table.shape[0], blocks[0].rows
    parts = _count_parts(rows)
    sums = claim(SUMS, parts, columns)
    yield launch(
        SUM_BLOCKS.signature,
        sums.size,
        reads=(table.whole(), *blocks),
        writes=(sums,),
        rows=rows,
        columns=columns,
        table=table.whole(),
        source=blocks[0],
        out=sums,
    )
    column = 0
    for out in _join_regions(outs):
        yield sum_rows(replace(sums, offset=column, columns=out.columns), out)
        column += out.columns


def _join_regions(regions: Sequence[Region]) -> Iterator[Region]:
    """Neighbours of one row as one."""
    joined = regions[0]
    for before, region in pairwise(regions):
        if (region.array, region.offset) == (before.array, before.stop):
            columns = joined.columns + region.columns
            joined = replace(joined, columns=columns, stride=columns)
        else:
            yield joined
            joined = region
    yield joined


def _count_parts(rows: int) -> int:
    return isqrt(rows - 1) + 1
