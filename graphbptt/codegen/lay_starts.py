"""Where what populations start from lies in a row of numbers, of which every example has one.

In a row stand the initial rows of one population after the other, the latest first.
"""

from __future__ import annotations

from graphbptt.ir.folded import FoldedNetwork

__all__ = ["count_starts", "lay_starts"]


def lay_starts(network: FoldedNetwork) -> dict[str, slice]:
    """Which columns of what all populations start from are those of each one."""
    columns: dict[str, slice] = {}
    stop = 0
    for population in network.populations:
        start, stop = stop, stop + population.history * population.units
        columns[population.name] = slice(start, stop)
    return columns


def count_starts(network: FoldedNetwork) -> int:
    """The numbers of a row."""
    return sum(population.history * population.units for population in network.populations)
