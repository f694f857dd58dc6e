"""One step at a time: a plan bound to one step, whose rows before step 1 are those of the steps before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.noise import Noise
from graphbptt.ir.plan import Plan
from graphbptt_numpy.bound_plan import BoundPlan
from graphbptt_numpy.boundary import draw_states_noise
from graphbptt_numpy.quiet import make_quiet
from graphbptt_numpy.workspace import Workspace

__all__ = ["NumpyStepper"]

Array = npt.NDArray[Any]


class NumpyStepper:
    """Meets `graphbptt.backend.Stepper`.

    Before a step goes on from the one before, all rows move one step back in their buffers. The weights are packed
    again only if a parameter has changed.
    """

    def __init__(self, plan: Plan, space: Workspace, bound: BoundPlan) -> None:
        self._space, self._bound = space, bound
        self._packed: object = None  # the bytes of the parameters that are packed: what compares quickest
        self._moves = list(_bind_moves(plan, space))
        self._states = {p.population: space.whole(p.state)[0] for p in plan.placements}
        self._noisy = bool(space.noise)
        self._quiet = make_quiet()
        self._batch: Batch | None = None
        self._repetition: list[Callable[[], object]] | None = None

    def step(self, parameters: Array, batch: Batch) -> Mapping[str, Array]:
        with np.errstate(all="ignore"):
            self._pack(parameters)
            if batch.carried is None or batch.carried.rows:
                self._bound.start(batch)
            else:
                for move in self._moves:
                    move()
                self._space.overwritten = True
            self._bound.walk(batch)
        self._batch, self._repetition = batch, None
        return self._states

    def repeat(self, parameters: Array, offset: int, noise: Noise | None) -> Mapping[str, Array]:
        if self._packed != parameters.data:
            self._quiet(self._pack, parameters)
        if self._noisy:
            draw_states_noise(self._space, noise, offset)
        self._quiet(_run_all, self._repetition or self._bind_repetition())
        return self._states

    def _pack(self, parameters: Array) -> None:
        """Pack the weights, unless the parameters are, to the last bit, those they were packed from."""
        if self._packed != parameters.data:
            self._bound.load(parameters)
            self._packed = bytearray(parameters.data)

    def _bind_repetition(self) -> list[Callable[[], object]]:
        """What is done at every step that goes on with the same batch."""
        if self._batch is None:
            raise AssertionError("nothing was run yet")
        self._space.overwritten = True
        self._repetition = [*self._moves, *self._bound.walking(self._batch)]
        return self._repetition

    def history(self) -> Mapping[str, Array]:
        if self._batch is None:
            raise AssertionError("nothing was run yet")
        return self._bound.history(self._batch, 1)


def _run_all(calls: list[Callable[[], object]]) -> None:
    for call in calls:
        call()


def _bind_moves(plan: Plan, space: Workspace) -> Iterator[Callable[[], object]]:
    """Copy every row that a later step reads to the row before it, the earliest first.

    What lies beside the states, constants and copied data, stays: it is there for a row, not for a step.
    """
    for name, residents in plan.residents.items():
        array = space.buffer(name)
        rows = array[..., : max(resident.state.stop for resident in residents)] if len(array) == 1 else array
        for k in range(plan.buffer[name].before):
            yield partial(np.copyto, rows[:, k], rows[:, k + 1])
