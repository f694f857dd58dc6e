"""One step at a time: a plan bound to one step, whose rows before step 1 are those of the steps before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.plan import Plan
from graphbptt_numpy.bound_plan import BoundPlan
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
        self._parameters = np.full(plan.layout.size, np.nan, space.dtype)
        self._same = np.zeros(plan.layout.size, bool)
        self._moves = list(_bind_moves(plan, space))
        self._states = {p.population: space.whole(p.state)[0] for p in plan.placements}
        self._batch: Batch | None = None

    def step(self, parameters: Array, batch: Batch) -> Mapping[str, Array]:
        with np.errstate(all="ignore"):
            if self._batch is None or not self._equals(parameters):
                np.copyto(self._parameters, parameters)
                self._bound.load(parameters)
            if batch.carried is None or batch.carried.rows:
                self._bound.start(batch)
            else:
                for move in self._moves:
                    move()
                self._space.overwritten = True
            self._bound.walk(batch)
        self._batch = batch
        return self._states

    def _equals(self, parameters: Array) -> bool:
        """Whether they are those of the step before; into memory of its own, since single steps are short."""
        np.equal(parameters, self._parameters, self._same)
        return bool(self._same.all())

    def history(self) -> Mapping[str, Array]:
        if self._batch is None:
            raise AssertionError("nothing was run yet")
        return self._bound.history(self._batch, 1)


def _bind_moves(plan: Plan, space: Workspace) -> Iterator[Callable[[], object]]:
    """Copy every row that a later step reads to the row before it, the earliest first.

    What lies beside the states, constants and copied data, stays: it is there for a row, not for a step.
    """
    for name, residents in plan.residents.items():
        array = space.buffer(name)
        rows = array[..., : max(resident.state.stop for resident in residents)] if len(array) == 1 else array
        for k in range(plan.buffer[name].before):
            yield partial(np.copyto, rows[:, k], rows[:, k + 1])
