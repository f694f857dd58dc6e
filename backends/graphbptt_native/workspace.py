"""Memory as the generated scans see it: a workspace's arrays by their arguments, and weights packed for products."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.codegen.arguments import (
    Argument,
    Constant,
    Entries,
    EntryPart,
    Held,
    Holds,
    Lengths,
    NoiseKey,
    Normals,
    Packed,
    Padded,
    Rows,
    Starts,
    Summands,
    Turned,
    Vector,
    Weights,
)
from graphbptt.codegen.precision import precision_of
from graphbptt.codegen.products.entries import count_turned
from graphbptt.codegen.products.product import packed_size
from graphbptt.ir.noise import Noise
from graphbptt.ir.operations import View
from graphbptt.ir.plan import Plan
from graphbptt_native.entries import ColumnEntries
from graphbptt_native.program import Program
from graphbptt_numpy.pointwise import RowValue
from graphbptt_numpy.workspace import Workspace

__all__ = ["NativeWorkspace"]

Array = npt.NDArray[Any]

ROOMS = 4
"""The first index of scratch memory that is a thread's; the loops of the numpy backend have those before it."""

BLOCK_ROWS = 64
"""So many steps and examples are prepared at a time: enough for fast products, few enough to stay in a cache."""


class NativeWorkspace(Workspace):
    """A workspace whose buffers have all columns of a row side by side, as C text counts them."""

    def __init__(
        self,
        plan: Plan,
        program: Program,
        steps: int,
        size: int,
        ragged: bool,
        dtype: np.dtype[Any],
        stepwise: bool = False,
    ) -> None:
        self.program = program
        self._packed: dict[Packed, Array] = {}
        self._packing: list[Callable[[], object]] = []
        self._by_column: dict[str, ColumnEntries] = {}
        self._drawing: dict[str, Callable[[Noise, int], None]] = {}
        super().__init__(plan, steps, size, ragged, dtype, stepwise)

    def lanes(self, name: str) -> int:  # noqa: ARG002 - populations side by side cost C text nothing
        return 1

    def pack_derived(self) -> None:
        super().pack_derived()
        for pack in self._packing:
            pack()
        for entries in self._by_column.values():
            entries.sort_values()

    def entries(self, weights: str, transposed: bool) -> Mapping[EntryPart, Array]:
        """Weights that are kept as entries, by the columns of the matrix or, transposed, by its rows."""
        block = self.blocks[weights]
        if transposed:
            return {"starts": block.starts, "sources": block.positions, "values": block.values}
        if weights not in self._by_column:
            self._by_column[weights] = ColumnEntries(block, self.allocate)
        entries = self._by_column[weights]
        return {"starts": entries.starts, "sources": entries.sources, "values": entries.values}

    def draw_noise(self, noise: Noise, population: str, first: int) -> None:
        if population not in self._drawing:
            self._drawing[population] = self.program.bind_noise(population, self.noise[population])
        self._drawing[population](noise, first)

    def room(self, part: int, numbers: int) -> Array:
        """Scratch memory of one of the threads."""
        return self.scratch((numbers,), ROOMS + part)

    def block_length(self, stage: int) -> int:
        if (stage, False) in self.program.scans:
            return max(1, BLOCK_ROWS // max(1, self.size))
        return super().block_length(stage)

    def find_arrays(self, arguments: tuple[Argument, ...], part: int, rows: int) -> Iterator[Array | None]:
        """What the arguments of a scan are for one of the threads, whose products have at most so many rows.

        All threads have the same arrays but for the room in which products by entries turn states: of that each has
        as much as such a product uses at a time.
        """
        precision = precision_of(self.dtype)
        for argument in arguments:
            if isinstance(argument, Turned):
                examples = count_turned(rows, self.program.vectors, precision)
                yield self.room(part, examples * argument.depth)
            else:
                yield self._find(argument)

    def _find(self, argument: Argument) -> Array | None:
        match argument:
            case Rows(name):
                row = self.time(View(name, 0, self.plan.buffer[name].width), 1, 1).start
                return self.buffer(name)[0, row:]
            case Held(population):
                return self.held[population] if self.holding(population) else None
            case Holds(population):
                return self.holds[population] if self.holding(population) else None
            case Normals(population):
                return self.noise[population]
            case Padded():
                return self.padded
            case Vector():
                return self.vector
            case Constant(width, expression):
                return self._row(RowValue(width, expression))
            case Packed():
                return self._pack(argument)
            case Entries(weights, transposed, part):
                return self.entries(weights, transposed)[part]
            case Turned() | Lengths() | Starts() | NoiseKey() | Summands() | Weights():
                raise AssertionError(f"{argument} is no array that threads share")

    def _pack(self, packed: Packed) -> Array:
        """Memory for the weights of a product in the order it reads them; filled by `pack_derived`."""
        if packed not in self._packed:
            lanes = self.program.vectors.lanes(precision_of(self.dtype))
            memory = self.allocate(packed_size(packed.depth, packed.columns, lanes))
            matrix = self.matrices[packed.weights][0]
            turned = matrix.T if packed.transposed else matrix
            row_stride, column_stride = (stride // matrix.itemsize for stride in turned.strides)
            pack = self.program.bind_packing(
                packed.depth, packed.columns, matrix, row_stride, column_stride, memory
            )
            pack()
            self._packed[packed] = memory
            self._packing.append(pack)
        return self._packed[packed]
