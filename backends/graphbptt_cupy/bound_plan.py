"""A plan bound to memory of a device: data go up, all is computed there, what one asks for comes down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.backend import Outcome
from graphbptt.codegen.launches.launch_plan import LaunchPlan, SectionName
from graphbptt.codegen.schedules.schedule_update import REPORTED
from graphbptt.ir.batch import Batch
from graphbptt.ir.plan import Plan
from graphbptt_cupy.device import Module
from graphbptt_cupy.program import Program
from graphbptt_cupy.shared import SharedMemory
from graphbptt_cupy.space import HostSpace
from graphbptt_numpy.bound_plan import BoundPlan
from graphbptt_numpy.boundary import draw_states_noise, mark_padding

__all__ = ["DevicePlan"]

MEASURING: tuple[SectionName, ...] = ("prepare", "forward", "measure")
DERIVING: tuple[SectionName, ...] = ("backward", "combine")
"""What the terms of the loss take, and what derivatives take then."""

Array = npt.NDArray[Any]
Call = Callable[[], object]


class DevicePlan(BoundPlan):
    """A plan bound to the memory of one shape of batch, on the `host` and on a device.

    With `moves` a batch of one step may follow another one, whose states the host has moved to the rows before it; so
    the host says what all populations start from.
    """

    def __init__(
        self,
        plan: Plan,
        space: HostSpace,
        launches: LaunchPlan,
        modules: Mapping[str, Module],
        shared: SharedMemory,
        moves: bool = False,
    ) -> None:
        space.place_fields(launches)
        super().__init__(plan, space, lambda *_: _Elsewhere())
        self.host, self._shared, self._moves = space, shared, moves
        self._program = Program(launches, modules, space.device, space.twin, shared)
        self._fetched = False
        self._begin: tuple[SectionName, ...] = ("upload",)
        self._next: Batch | None = None  # of which the next update is
        self._there: Batch | None = None  # all of which is on the device

    def count_bytes(self) -> int:
        return super().count_bytes() + self._program.bytes

    def load(self, parameters: Array) -> None:
        """Take the parameters, of which the host makes copies only where it says what is started from."""
        if self._moves:
            super().load(parameters)
        np.copyto(self.host.parameters, parameters)

    def start(self, batch: Batch) -> None:
        """Take what a batch starts from."""
        self._there = None
        given = self._moves or batch.carried is not None
        mark_padding(self.host, batch)
        self.host.take_starts(batch)
        if given:
            super().start(batch)
        self.host.flag_starts(given, past=batch.carried is None)
        self._begin = ("carry", "upload") if given else ("upload",)

    def walking(self, batch: Batch) -> Iterator[Call]:
        """What computes the states of all steps and brings them down."""
        yield from self._taking(batch)
        yield partial(self._run_loaded, *self._begin, "prepare", "forward", "states")

    def _taking(self, batch: Batch) -> Iterator[Call]:
        """What takes a batch's data."""
        yield partial(self.host.take_lengths, batch)
        if self._moves:
            yield self.host.take_rows
        yield partial(self.host.take_given, batch)

    def _run_loaded(self, *sections: SectionName) -> None:
        """Run some sections behind a copy of the parameters, unless the device has these."""
        parameters = self.host.parameters
        if self._shared.holds(parameters):
            self._run(*sections)
        else:
            self._shared.forget()
            self._run("load", *sections)
            self._shared.remember(parameters)

    def _run(self, *sections: SectionName) -> None:
        self._program.run(*sections)
        self._fetched = "states" in sections

    def _take(self, batch: Batch) -> None:
        """Take all of a batch to where it is copied from."""
        self.start(batch)
        draw_states_noise(self.host, batch.noise, batch.offset)
        for call in self._taking(batch):
            call()
        self.host.take_targets(batch)

    def loss(self, parameters: Array, batch: Batch) -> Array:
        self.load(parameters)
        self._take(batch)
        self._run_loaded(*self._begin, "targets", *MEASURING, "report")
        return self.host.losses.copy()

    def loss_and_gradient(self, parameters: Array, batch: Batch, gradient: Array) -> Array:
        self.load(parameters)
        self._take(batch)
        self._take_divisors(batch)
        self._run_loaded(*self._begin, "targets", *MEASURING, *DERIVING, "download")
        np.copyto(gradient, self.host.gradient)
        return self.host.losses.copy()

    def prepare_update(self, batch: Batch) -> None:
        """Take a batch, while the device may still work on the one before, of which it has copied all.

        What batches bring is left there, but for what lies behind the ends of sequences, which is filled anew each
        time; so the same batch is not copied again.
        """
        self._next = batch
        if batch is self._there:
            self._begin = ()
            return
        self.host.device.wait_copies()
        self._take(batch)
        self._take_divisors(batch)
        self._begin = (*self._begin, "targets")

    def start_update(self) -> None:
        """Go on from the parameters that are there, and leave them updated."""
        self._fetched = False
        self._shared.forget()
        self._program.start(*self._begin, *MEASURING, *DERIVING, "update", "outcome")
        self._there = self._next

    def finish_update(self) -> Outcome:
        """What became of it, once it is done."""
        self.host.device.wait()
        norm, left = self.host.fields[REPORTED]
        penalty = float(self.host.penalties.sum())
        return Outcome(self.host.losses.copy(), penalty, float(norm), finite=not left)

    def put_parameters(self, parameters: Array) -> None:
        """Take those that updates go on from."""
        if not self._shared.holds(parameters):
            self.load(parameters)
            self._run_loaded()

    def fetch_parameters(self, parameters: Array, previous: Array) -> None:
        """The free ones, and those before the last update."""
        self._run("parameters")
        self._shared.remember(self.host.parameters)
        np.copyto(parameters, self.host.parameters[: parameters.size])
        np.copyto(previous, self.host.previous)

    def fetch_gradient(self, gradient: Array) -> None:
        """That of the last update."""
        self._run("download")
        np.copyto(gradient, self.host.gradient)

    def _take_divisors(self, batch: Batch) -> None:
        """What derivatives of copies are divided by, where they are averaged."""
        divisors = self.host.fields.get("divisors")
        if divisors is None:
            return
        divisors.fill(1)
        for group, number in self._copies.of(batch).items():
            self._plan.layout.view(divisors, group)[...] = number

    def history(self, batch: Batch, step: int) -> Mapping[str, Array]:
        if not self._fetched:
            self._run("states")
        return super().history(batch, step)


class _Elsewhere:
    """A sweep of which the host does nothing."""

    def run(self) -> None:
        raise AssertionError("sweeps are the device's")

    def calls(self) -> list[Call]:
        raise AssertionError("sweeps are the device's")

    def count_bytes(self) -> int:
        return 0
