"""Copies of parameters as linear maps: how packed weights are made from the flat vector, and derivatives from theirs.

    map   := LinearMap(starts, sources, factors)        out[i] = the sum of factors[k] * numbers[sources[k]],
                                                        over k from starts[i] to starts[i + 1]
    block := PackedBlock(name, offset, shape)           where one array of copies lies among all of them
    maps  := CopyMaps(blocks, packing, combining)

Every number of a packed copy of a parameter is a row of one map, constants included: behind the numbers of the flat
vector there is a 1. The derivative of each free parameter is a row of its transpose, the only place where the
derivatives of copies meet: by then contractions have added up the copies of all steps. One thread adds up a row, in the
order of its entries; a row of many is cut into pieces first (`shorten`), which are the rows of another map.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import BackendError
from graphbptt.ir.indices import Indices
from graphbptt.ir.parameters import FrozenArray, Use
from graphbptt.ir.plan import Matrix, Plan

__all__ = ["VECTOR", "CopyMaps", "LinearMap", "PackedBlock", "initial_block", "map_copies", "shorten"]

VECTOR = "vector"
"""The block of the packed vector; those of weights have their names."""

ALIGNED = 32
"""Blocks begin at multiples of so many numbers: products are fastest where matrices begin at multiples of 128 bytes."""

MOST = 2**31
"""What an `int` of C does not count, of which the maps are made on a device."""

LONGEST = 256
"""The most entries of a row that one thread adds up."""


def initial_block(population: str) -> str:
    """The block of the initial state of a population."""
    return f"initial of {population}"


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A sparse matrix, row by row.

    >>> twice = LinearMap(np.array([0, 1, 3]), np.array([1, 0, 1]), np.array([2.0, 1.0, 1.0]))
    >>> twice.apply(np.array([5.0, 7.0])).tolist(), twice.transpose(2).apply(np.array([1.0, 10.0])).tolist()
    ([14.0, 12.0], [10.0, 12.0])
    """

    starts: Indices
    sources: Indices
    factors: npt.NDArray[np.float64]

    @property
    def rows(self) -> int:
        return self.starts.size - 1

    @property
    def longest(self) -> int:
        """The entries of the longest row."""
        return int(np.diff(self.starts).max(initial=0))

    def row_of_entries(self) -> Indices:
        """The row of each entry."""
        return np.repeat(np.arange(self.rows), np.diff(self.starts))

    def apply(self, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """All rows of these numbers."""
        return np.bincount(self.row_of_entries(), self.factors * numbers[self.sources], self.rows)

    def transpose(self, columns: int) -> LinearMap:
        """From the results of this map to the first `columns` of the numbers it reads; entries keep their order."""
        kept = np.flatnonzero(self.sources < columns)
        order = kept[np.argsort(self.sources[kept], kind="stable")]
        starts = np.searchsorted(self.sources[order], np.arange(columns + 1))
        return LinearMap(starts, self.row_of_entries()[order], self.factors[order])


@dataclass(frozen=True, slots=True)
class PackedBlock:
    """An array of copies, in C order."""

    name: str
    offset: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class CopyMaps:
    """The maps of a plan. Derivatives by copies lie where the copies do."""

    blocks: tuple[PackedBlock, ...]
    packing: LinearMap
    combining: tuple[LinearMap, ...]

    @cached_property
    def block(self) -> dict[str, PackedBlock]:
        return {block.name: block for block in self.blocks}

    @property
    def size(self) -> int:
        """The numbers of all blocks."""
        return self.packing.rows


def map_copies(plan: Plan) -> CopyMaps:
    """The maps of all copies that a plan reads, those of initial states included."""
    shapes = {
        VECTOR: (plan.vector_width,),
        **{matrix.name: (matrix.rows, matrix.columns) for matrix in plan.matrices},
        **{block.name: (block.pattern.size,) for block in plan.blocks},
        **{initial_block(item.name): (item.history, item.units) for item in plan.network.populations},
    }
    blocks: list[PackedBlock] = []
    offset = 0
    for name, shape in shapes.items():
        blocks.append(PackedBlock(name, offset, shape))
        offset += -(-blocks[-1].size // ALIGNED) * ALIGNED
    if max(offset, plan.layout.size) >= MOST:
        raise BackendError(
            f"the network's weights are {offset} numbers, and a device counts up to {MOST - 1}; keep sparse weights "
            "as entries ('storage: csr'), or take another backend"
        )
    writer = _MapWriter(plan, {block.name: block for block in blocks})
    parts = list(writer.write())
    places, sources, factors = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(offset + 1))
    packing = LinearMap(starts, sources[order], factors[order])
    return CopyMaps(tuple(blocks), packing, shorten(packing.transpose(plan.layout.free)))


MapEntries = tuple[Indices, Indices, npt.NDArray[np.float64]]
"""Places among all copies, the numbers that they are made from, and the factors of these."""


class _MapWriter:
    """Writes the entries of the packing map, a copy after the other."""

    def __init__(self, plan: Plan, blocks: dict[str, PackedBlock]) -> None:
        self.plan = plan
        self.blocks = blocks

    def write(self) -> Iterator[MapEntries]:
        yield (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        vector = self._places(VECTOR)
        for entry in self.plan.vector:
            yield from self._copy(vector[entry.row.start : entry.row.stop], entry.value)
        for matrix in self.plan.matrices:
            yield from self._copy_matrix(matrix)
        for block in self.plan.blocks:
            yield from self._copy(self._places(block.name), block.use)
        for population in self.plan.network.populations:
            yield from self._copy(self._places(initial_block(population.name)), population.initial)

    def _copy_matrix(self, matrix: Matrix) -> Iterator[MapEntries]:
        places = self._places(matrix.name)
        for entry in matrix.entries:
            value = FrozenArray(entry.constant) if entry.use is None else entry.use
            yield from self._copy(places[entry.places()], value)

    def _places(self, name: str) -> Indices:
        block = self.blocks[name]
        return (block.offset + np.arange(block.size)).reshape(block.shape)

    def _copy(self, places: Indices, value: Use | FrozenArray) -> Iterator[MapEntries]:
        """Values are repeated along the places, as arrays are; what is always 0 is left out."""
        if isinstance(value, FrozenArray):
            sources, factors = np.full((), self.plan.layout.size), value.values
        else:
            sources, factors = self._read(value)
        sources, factors = np.broadcast_to(sources, places.shape), np.broadcast_to(factors, places.shape)
        there = (sources >= 0) & (factors != 0)
        yield places[there], sources[there], factors[there]

    def _read(self, use: Use) -> tuple[Indices, npt.NDArray[np.float64]]:
        """Which number of the flat vector each entry of a copy is, and its factor; -1 for none."""
        slot = self.plan.layout.slot[use.group]
        if use.index is None:
            numbers = slot.offset + np.arange(slot.stop - slot.offset).reshape(slot.shape)
            return (numbers.T if use.transpose else numbers), np.full((), use.scale)
        positions = use.index.positions
        factors = np.ones(()) if use.index.factors is None else use.index.factors
        return np.where(positions < 0, -1, slot.offset + positions), use.scale * factors


def shorten(long: LinearMap) -> tuple[LinearMap, ...]:
    """Maps, one after the other, none of which has a row of more than `LONGEST` entries.

    >>> total = LinearMap(np.array([0, 100_000]), np.arange(100_000), np.ones(100_000))
    >>> [(part.rows, part.longest) for part in shorten(total)]
    [(391, 256), (2, 256), (1, 2)]
    """
    if long.longest <= LONGEST:
        return (long,)
    pieces = -(-np.diff(long.starts) // LONGEST)
    after = np.concatenate([[0], np.cumsum(pieces)])
    begins = np.repeat(long.starts[:-1], pieces)
    within = np.arange(after[-1]) - np.repeat(after[:-1], pieces)
    starts = np.append(begins + LONGEST * within, long.starts[-1])
    first = LinearMap(starts, long.sources, long.factors)
    rest = LinearMap(after, np.arange(after[-1]), np.ones(after[-1]))
    return first, *shorten(rest)
