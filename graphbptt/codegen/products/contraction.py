"""Which derivatives of dense weights are contracted, and how each is cut.

    gradient := (block, ...) x (panel, ...)     the sum over rows of in[row, :] outer delta[row, :], in tiles
    block    := (row, ...)                  units of the states, as many as a tile has rows: their numbers in each row
    panel    := (kept row, ...)             units of the delta, as many vectors as a tile has

Blocks are those of the states and panels those of the delta; where the delta has so few units that vectors would stay
empty it is the other way round, *turned*, and so is the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from graphbptt.codegen.precision import Precision
from graphbptt.codegen.products.vectors import VectorUnit
from graphbptt.ir.operations import Contract
from graphbptt.ir.plan import Plan

__all__ = ["DEPTH", "Contraction", "fills_vectors", "find_contractions"]

DEPTH = 256
"""How many rows are packed at a time: with four vectors of 64 bytes a panel takes 64 KiB, a part of a second cache, and
adding a tile to the gradient takes a hundredth of the time of computing it."""

WORTH_TURNING = 0.8
"""Turned only if so much smaller: the rows of a turned one are left out for all units of the delta or for none."""

MOST_PACKED = 2**16
"""So many numbers of packed blocks stay in a second cache, where each panel reads them again."""

Tiles = tuple[int, int, int, int]
"""Some of the blocks and some of the panels, each from the first to before the last."""


@dataclass(frozen=True, slots=True)
class Contraction:
    """The derivative of a matrix of `height` rows, the units of the states, and `width` columns, those of the delta."""

    height: int
    width: int
    lanes: int
    tile: tuple[int, int]

    @classmethod
    def of(cls, height: int, width: int, unit: VectorUnit, precision: Precision) -> Contraction:
        return cls(height, width, unit.lanes(precision), unit.tile)

    @property
    def turned(self) -> bool:
        """Whether vectors are of units of the states.

        >>> Contraction(128, 1, 16, (6, 4)).turned, Contraction(25, 16, 16, (6, 4)).turned
        (True, False)
        """
        return self.width * self._fill(self.height) < WORTH_TURNING * self.height * self._fill(self.width)

    @property
    def grid(self) -> tuple[int, int]:
        """How many blocks and panels there are.

        >>> Contraction(128, 512, 16, (6, 4)).grid
        (22, 8)
        """
        rows, columns = self._sides
        return -(-rows // self.tile[0]), -(-columns // (self.lanes * self.tile[1]))

    @property
    def tiles(self) -> set[tuple[int, int]]:
        """The tiles that occur, as rows and vectors: blocks, and panels, are as equal as can be.

        >>> sorted(Contraction(128, 80, 16, (6, 4)).tiles)
        [(5, 2), (5, 3), (6, 2), (6, 3)]
        """
        blocks, panels = self.grid
        rows, columns = self._sides
        vectors = -(-columns // self.lanes)
        return {
            (r, v)
            for r in {rows // blocks, -(-rows // blocks)}
            for v in {vectors // panels, -(-vectors // panels)}
        }

    @property
    def room(self) -> int:
        """How many numbers are packed at a time."""
        panel = self.lanes * self.tile[1]
        return DEPTH * (panel + self._sides[0])

    def split(self, cores: int) -> list[Tiles]:
        """The tiles of each thread: stretches of blocks or of panels, of which there are mostly more blocks.

        Each thread packs all of the side that is not cut. So panels are cut where the blocks are less to pack, and no
        thread has a larger share then.

        >>> Contraction(320, 256, 16, (6, 4)).split(2), Contraction(128, 512, 16, (6, 4)).split(2)
        ([(0, 27, 0, 4), (27, 54, 0, 4)], [(0, 22, 0, 4), (0, 22, 4, 8)])
        >>> Contraction(5, 7, 16, (6, 4)).split(2)
        [(0, 1, 0, 1)]
        """
        blocks, panels = self.grid
        rows, columns = self._sides
        less = rows < columns and rows * DEPTH <= MOST_PACKED
        even = _largest_share(panels, cores) <= _largest_share(blocks, cores)
        if (less and even) or panels > blocks:
            return [(0, blocks, first, last) for first, last in _stretch(panels, cores)]
        return [(first, last, 0, panels) for first, last in _stretch(blocks, cores)]

    @property
    def _sides(self) -> tuple[int, int]:
        return (self.width, self.height) if self.turned else (self.height, self.width)

    def _fill(self, units: int) -> int:
        return -(-units // self.lanes) * self.lanes


def _stretch(length: int, parts: int) -> list[tuple[int, int]]:
    """As many stretches as there are parts, as equal as can be, none of them empty."""
    parts = min(parts, length)
    return list(pairwise(length * part // parts for part in range(parts + 1)))


def _largest_share(length: int, parts: int) -> float:
    return max(last - first for first, last in _stretch(length, parts)) / length


def fills_vectors(width: int) -> bool:
    """Whether tiles can be faster than a product with a vector, which uses all of each of the processor's.

    >>> fills_vectors(1), fills_vectors(16)
    (False, True)
    """
    return width > 1


def find_contractions(plan: Plan, unit: VectorUnit, precision: Precision) -> set[Contraction]:
    """The derivatives of all weights of a plan that are kept as matrices and may be computed in tiles."""
    blocks = {block.name for block in plan.blocks}
    return {
        Contraction.of(operation.source.width, operation.delta.width, unit, precision)
        for stage in plan.stages
        for operation in stage.backward.operations()
        if isinstance(operation, Contract)
        and operation.weights not in blocks
        and fills_vectors(operation.delta.width)
    }
