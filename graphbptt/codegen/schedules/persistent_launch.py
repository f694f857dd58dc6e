"""A persistent kernel in a launch plan: one launch in the place of those of all steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.launches.commands import ArgumentValue, Command, Launch
from graphbptt.codegen.launches.device_arrays import Region
from graphbptt.codegen.launches.launch_kernel import order_arguments
from graphbptt.codegen.persistent.write_persistent import PersistentKernel
from graphbptt.codegen.schedules.place_arrays import Places
from graphbptt.ir.operations import find_runs

__all__ = ["launch_persistent"]


def launch_persistent(
    kernel: PersistentKernel,
    pointers: Mapping[str, ArgumentValue],
    replaced: Iterable[Command],
    places: Places,
) -> Launch:
    """The launch of a kernel that does what the commands `replaced` do, step by step; it has the pointers by name.

    It needs what these find in memory before all of them, and leaves what they leave.
    """
    shape, block = places.shape, kernel.shape
    threads = block.blocks * block.threads
    tally = _Tally(places)
    for command in replaced:
        tally.follow(command)
    arguments = order_arguments(
        kernel.signature, threads=threads, steps=shape.steps, size=shape.size, **pointers
    )
    reads, writes = tuple(tally.list_reads()), tuple(tally.list_writes())
    name = kernel.signature.kernel
    return Launch(name, threads, block.blocks, block.threads, arguments, reads, writes, block.shared)


class _Tally:
    """What commands of single steps read that none of them has written, and what they write.

    Each works on whole steps of buffers, so that a buffer is counted by steps and columns; of other arrays, which they
    only read, regions are kept as they are.
    """

    def __init__(self, places: Places) -> None:
        self.arrays, self.size = places.arrays, places.shape.size
        self.others: dict[Region, None] = {}
        self.needed: dict[str, npt.NDArray[np.bool_]] = {}
        self.written: dict[str, npt.NDArray[np.bool_]] = {}

    def follow(self, command: Command) -> None:
        for region in command.reads:
            if self.arrays[region.array].kind == "buffer":
                needed, written = (self._select(ledger, region) for ledger in (self.needed, self.written))
                needed |= ~written
            else:
                self.others[region] = None
        for region in command.writes:
            self._select(self.written, region)[...] = True

    def list_reads(self) -> Iterator[Region]:
        yield from self._list_regions(self.needed)
        yield from self.others

    def list_writes(self) -> Iterator[Region]:
        yield from self._list_regions(self.written)

    def _select(self, ledger: dict[str, npt.NDArray[np.bool_]], region: Region) -> npt.NDArray[np.bool_]:
        """The steps and columns of a region, as a view."""
        array = self.arrays[region.array]
        if region.array not in ledger:
            ledger[region.array] = np.zeros((array.shape[0] // self.size, array.width), bool)
        row, column = divmod(region.offset, array.width)
        steps = slice(row // self.size, (row + region.rows) // self.size)
        return ledger[region.array][steps, column : column + region.columns]

    def _list_regions(self, ledger: dict[str, npt.NDArray[np.bool_]]) -> Iterator[Region]:
        """The fewest rectangles of whole steps: neighbours with the same columns are one."""
        for name, marked in ledger.items():
            width = marked.shape[1]
            changes = np.flatnonzero((marked[1:] != marked[:-1]).any(axis=1)) + 1
            for first, last in pairwise((0, *map(int, changes), len(marked))):
                for start, stop in find_runs(marked[first]):
                    offset, rows = first * self.size * width + start, (last - first) * self.size
                    yield Region(name, offset, rows, stop - start, width)
