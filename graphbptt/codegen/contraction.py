"""Which derivatives of dense weights are contracted, and how each is cut.

    gradient := (block, ...) x (panel, ...)     the sum over rows of in[row, :] outer delta[row, :], in tiles
    block    := (row, ...)                  units of the states, as many as a tile has rows: their numbers in each row
    panel    := (kept row, ...)             units of the delta, as many vectors as a tile has

Blocks are those of the states and panels those of the delta; where the delta has so few units that vectors would stay
empty it is the other way round, *turned*, and so is the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphbptt.codegen.precision import Precision
from graphbptt.codegen.vectors import VectorUnit
from graphbptt.ir.operations import Contract
from graphbptt.ir.plan import Plan

__all__ = ["DEPTH", "Contraction", "find_contractions"]

DEPTH = 256
"""How many rows are packed at a time: with four vectors of 64 bytes a panel takes 64 KiB, a part of a second cache, and
adding a tile to the gradient takes a hundredth of the time of computing it."""

WORTH_TURNING = 0.8
"""Turned only if so much smaller: the rows of a turned one are left out for all units of the delta or for none."""


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

    @property
    def _sides(self) -> tuple[int, int]:
        return (self.width, self.height) if self.turned else (self.height, self.width)

    def _fill(self, units: int) -> int:
        return -(-units // self.lanes) * self.lanes


def find_contractions(plan: Plan, unit: VectorUnit, precision: Precision) -> set[Contraction]:
    """The derivatives of all weights of a plan that are kept as matrices."""
    blocks = {block.name for block in plan.blocks}
    return {
        Contraction.of(operation.source.width, operation.delta.width, unit, precision)
        for stage in plan.stages
        for operation in stage.backward.operations()
        if isinstance(operation, Contract) and operation.weights not in blocks
    }
