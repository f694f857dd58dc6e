"""A loopback device on which every kernel shows that it reads and writes what its launch says, and nothing else.

Before a kernel runs it is run on a copy of its arrays in which all that it does not claim to read is spoilt. What it
writes there has to be the same to the last bit, and all else has to stay as it was.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

import numpy as np
from loopback import LoopbackDevice, select

from graphbptt.codegen.launches.commands import Launch
from graphbptt.codegen.launches.device_arrays import Address, Region
from graphbptt_cupy.device import Array, Call, Memory

__all__ = ["AuditedDevice"]


class AuditedDevice(LoopbackDevice):
    """`audited` has the names of the kernels that were run."""

    def __init__(self) -> None:
        super().__init__()
        self.audited: set[str] = set()

    def bind_launch(self, module: ctypes.CDLL, command: Launch, memory: Memory) -> Call:
        run = super().bind_launch(module, command, memory)
        given = dict.fromkeys(item.array for item in command.arguments if isinstance(item, Address))
        reads, writes = (
            {name: mark(memory[name].size, regions, name) for name in given}
            for regions in (command.reads, command.writes)
        )
        copies = {name: np.empty_like(memory[name]) for name in given}
        run_copy = super().bind_launch(module, command, copies)

        def audit() -> None:
            for name, copy in copies.items():
                copy[...] = np.where(reads[name], memory[name], spoil(copy.dtype))
            before = {name: copy.copy() for name, copy in copies.items()}
            run_copy()
            run()
            for name, copy in copies.items():
                written = writes[name]
                what = f"{command.kernel}: {name}"
                assert copy[written].tobytes() == memory[name][written].tobytes(), f"{what} is read, too"
                assert copy[~written].tobytes() == before[name][~written].tobytes(), f"{what} is written, too"
            self.audited.add(command.kernel)

        return audit


def mark(size: int, regions: Iterable[Region], name: str) -> Array:
    """Where some regions of an array lie."""
    marks = np.zeros(size, bool)
    for region in regions:
        if region.array == name:
            select(marks, region)[...] = True
    return marks


def spoil(dtype: np.dtype) -> float:
    """What a result shows that was computed from it; as an index it leads nowhere else."""
    return np.nan if dtype.kind == "f" else 0
