"""What populations start from, in a device's memory: one array, with a row for each example (`codegen.lay_starts`).

What is given to start from, and where it is, lies in arrays laid out alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from graphbptt.codegen.kernels.copy_maps import CopyMaps, initial_block
from graphbptt.codegen.kernels.fixed_kernels import ENTRY
from graphbptt.codegen.launches.device_arrays import DeviceArray
from graphbptt.codegen.launches.launch_plan import LaunchShape
from graphbptt.codegen.lay_starts import lay_starts
from graphbptt.codegen.precision import Precision
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.plan import Plan

__all__ = [
    "FLAGS",
    "GIVEN",
    "INITIAL",
    "NO_PAST",
    "SOURCES",
    "STARTED",
    "STARTS",
    "name_table",
    "place_starts",
    "place_table",
]

INITIAL, SOURCES = "initial", "sources"
"""What all populations start from, and which packed copies that is where nothing else is given."""

STARTS, STARTED = "starts", "started"
"""What clamps give them to start from, and where, if any do."""

FLAGS, GIVEN, NO_PAST = "flags", 0, 1
"""Two numbers of a batch, not 0 where the host brings all that it starts from, and where no derivative passes there."""


def place_starts(
    plan: Plan, copies: CopyMaps, precision: Precision, shape: LaunchShape
) -> Iterator[DeviceArray]:
    """What populations start from, and which of it surrounds the steps of each buffer."""
    blocks = [copies.block[initial_block(population.name)] for population in plan.network.populations]
    sources = np.concatenate([block.offset + np.arange(block.size, dtype=np.int32) for block in blocks])
    sizes = (shape.size, sources.size)
    yield DeviceArray(SOURCES, "constant", sources.shape, "int32", sources)
    yield DeviceArray(INITIAL, "initial", sizes, precision.name)
    if any(clamp.at == "start" for clamp in plan.network.clamps):
        yield DeviceArray(STARTS, "field", sizes, precision.name)
        yield DeviceArray(STARTED, "field", sizes, "bool")
    yield DeviceArray(FLAGS, "field", (2,), "float64")
    for buffer, residents in plan.residents.items():
        columns = [(resident.population, resident.state.start) for resident in residents]
        yield place_table(buffer, plan.network, columns)


def name_table(array: str) -> str:
    """What the table for an array is called."""
    return f"{array}:table"


def place_table(array: str, network: FoldedNetwork, columns: Iterable[tuple[str, int]]) -> DeviceArray:
    """The table (`kernels.fixed_kernels`) for an array that has populations from these columns on."""
    starts, entries = lay_starts(network), list[tuple[int, int, int, int]]()
    for name, column in columns:
        population, first = network.population[name], starts[name].start
        units = population.units
        entries += [(column + unit, first + unit, units, population.history) for unit in range(units)]
    table = np.array(sorted(entries), np.int32).reshape(-1, ENTRY)
    return DeviceArray(name_table(array), "constant", table.shape, "int32", table)
