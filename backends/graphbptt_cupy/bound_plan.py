"""A plan bound to memory of a device: parameters and data go up, the sweeps run there, derivatives come down.

What stands at the edges, copies of parameters, clamps, losses, is the host's, as the numpy backend has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import numpy.typing as npt

from graphbptt.codegen.launches import LaunchPlan
from graphbptt.ir.batch import Batch
from graphbptt.ir.plan import Plan
from graphbptt_cupy.device import Module
from graphbptt_cupy.program import Program
from graphbptt_cupy.space import HostSpace
from graphbptt_numpy.bound_plan import BoundPlan
from graphbptt_numpy.boundary import hold_states

__all__ = ["DevicePlan"]

Array = npt.NDArray[Any]
Call = Callable[[], object]


class DevicePlan(BoundPlan):
    """A plan bound to the memory of one shape of batch, on the host and on a device."""

    def __init__(
        self, plan: Plan, space: HostSpace, launches: LaunchPlan, modules: Mapping[str, Module]
    ) -> None:
        super().__init__(plan, space, lambda *_: _Elsewhere())
        self._host = space
        self._program = Program(launches, modules, space.device, space.twins(launches))
        deltas = dict.fromkeys(site.delta for site in plan.losses)
        self._slopes = [delta for delta in deltas if delta is not None]

    def count_bytes(self) -> int:
        return super().count_bytes() + self._program.bytes

    def walking(self, batch: Batch) -> Iterator[Call]:
        """What computes the states of all steps and brings them down."""
        yield partial(self._host.take_lengths, batch)
        if self._host.steps == 1:
            yield self._host.take_rows
        for name in self._host.held:
            yield partial(hold_states, self._plan, self._host, batch, name)
        for stage in self._plan.stages:
            if stage.mode == "given":
                yield from self._given[stage.populations[0]](batch)
        yield partial(self._program.run, "upload", "prepare", "forward", "states")

    @cached_property
    def _cleared(self) -> list[Array]:
        """What losses add to; all else is cleared on the device."""
        return [self._host.whole(view) for view in self._slopes]

    def _run_backward(self) -> None:
        self._program.run("measure", "backward", "combine", "download")


class _Elsewhere:
    """A sweep of which the host does nothing."""

    def run(self) -> None:
        raise AssertionError("sweeps are the device's")

    def calls(self) -> list[Call]:
        raise AssertionError("sweeps are the device's")

    def count_bytes(self) -> int:
        return 0
