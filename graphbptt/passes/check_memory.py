"""Whether a network can be held in memory at all: its parameters, their derivatives, and the states of one step; and
whether the states of all steps of a batch can."""

from __future__ import annotations

import os

from graphbptt.errors import DataError, Problem, SpecError
from graphbptt.ir.folded import FoldedNetwork

__all__ = ["check_batch", "check_memory", "measure_memory"]

NUMBER = 4
"""The bytes of a float32, the smaller of the types."""


def measure_memory() -> int | None:
    """The bytes of memory of this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check_memory(network: FoldedNetwork, memory: int) -> None:
    """Refuse a network that needs more bytes than there are, whatever the data and the backend.

    Raises
    ------
    SpecError
        It does; at the node that has most units.
    """
    parameters = sum(group.size for group in network.groups)
    free = sum(group.size for group in network.groups if group.trainable)
    states = sum(population.units for population in network.populations)
    needed = NUMBER * (parameters + free + states)
    if needed <= memory:
        return
    largest = max(network.populations, key=lambda population: population.units)
    what = (
        f"{largest.units:,} units: the network has {parameters:,} parameters and {states:,} states, which take"
        f" {_format(needed)}, and this machine has {_format(memory)}"
    )
    remedy = f"declare fewer units or sparse weights: {memory // (2 * NUMBER):,} parameters fit"
    raise SpecError(Problem(f"node {largest.name}.units", what, remedy))


def check_batch(network: FoldedNetwork, size: int, steps: int, memory: int, number: int = NUMBER) -> None:
    """Refuse a batch whose states, of so many bytes a `number`, are more than there is memory, whatever the backend.

    Raises
    ------
    DataError
        They are; says how many steps would fit.
    """
    row = size * number * sum(population.units for population in network.populations)
    if steps * row <= memory:
        return
    what = f"the states of {steps:,} steps of {size:,} sequences take {_format(steps * row)}, and this machine has"
    fitting = memory // row
    remedy = f"at most {fitting:,} steps fit" if fitting else "give fewer sequences at a time"
    raise DataError(Problem("steps", f"{what} {_format(memory)}", remedy))


def _format(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
