"""What is added up at once, and where its sums go."""

from __future__ import annotations

import numpy as np

from graphbptt.codegen.kernels.write_kernels import Kernel, Reduction
from graphbptt.codegen.launches.commands import Signature
from graphbptt.codegen.launches.device_arrays import Region
from graphbptt.codegen.schedules.sum_launches import (
    WIDEST,
    join_reductions,
    lay_blocks,
    place_blocks,
    sum_blocks,
)
from graphbptt.ir.operations import Row, View


def claim(name: str, rows: int, columns: int) -> Region:
    return Region(name, 0, rows, columns, columns)


def reduce_kernel(start: int, width: int) -> Reduction:
    return Reduction(Row(start, start + width), Kernel(Signature("k", ()), width, (), ()))


def test_kernels_are_joined_up_to_a_width() -> None:
    widths = [WIDEST // 2, WIDEST // 2, 1, WIDEST + 5, 3, 4]
    starts = np.cumsum([0, *widths[:-1]]).tolist()
    reductions = [reduce_kernel(start, width) for start, width in zip(starts, widths, strict=True)]
    joined = list(join_reductions(reductions))
    assert [[item.row.width for item in group] for group in joined] == [
        [WIDEST // 2, WIDEST // 2],
        [1],
        [WIDEST + 5],
        [3, 4],
    ]
    assert [item for group in joined for item in group] == reductions


def test_what_a_buffer_has_is_added_up_by_itself() -> None:
    view = Reduction(Row(1, 3), View("netdelta1", 0, 2))
    first, last = reduce_kernel(0, 1), reduce_kernel(3, 1)
    assert list(join_reductions([first, view, last])) == [[view], [first, last]]


def test_blocks_lie_one_behind_the_other() -> None:
    assert lay_blocks(claim, 10, [2, 3]) == [
        Region("summands", 0, 10, 2, 2),
        Region("summands", 20, 10, 3, 3),
    ]


def test_sums_go_where_they_belong_in_as_few_launches_as_there_are_gaps() -> None:
    widths = [2, 1, 3]
    outs = [
        Region("dcopies", offset, 1, width, width) for offset, width in zip((5, 7, 20), widths, strict=True)
    ]
    blocks = lay_blocks(claim, 100, widths)
    first, *others = sum_blocks(claim, place_blocks("blocks", widths), blocks, outs)
    assert first.kernel == "sum_blocks"
    assert first.threads == 10 * 6
    assert [launch.writes for launch in others] == [
        (Region("dcopies", 5, 1, 3, 3),),
        (Region("dcopies", 20, 1, 3, 3),),
    ]
    assert [launch.reads for launch in others] == [
        (Region("sums", 0, 10, 3, 6),),
        (Region("sums", 3, 10, 3, 6),),
    ]
