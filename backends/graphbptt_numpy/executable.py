"""A plan on NumPy, bound to memory for every shape of batch that it meets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.plan import Plan
from graphbptt_numpy.bound_plan import BoundPlan
from graphbptt_numpy.stepper import NumpyStepper
from graphbptt_numpy.workspace import Workspace

__all__ = ["NumpyExecutable"]

Array = npt.NDArray[Any]

KEPT_SHAPES = 8
"""How many shapes of batches keep their memory, however large; the one not used for longest goes first."""

KEPT_BYTES = 128 * 1024**2
"""More shapes are kept as long as all together take less than this: each of the first windows of truncated
backpropagation has its own."""


class NumpyExecutable:
    """Meets `graphbptt.backend.Executable`."""

    def __init__(self, plan: Plan, dtype: np.dtype[Any]) -> None:
        self._plan = plan
        self._dtype = dtype
        self._bound: OrderedDict[tuple[int, int, bool, bool], BoundPlan] = OrderedDict()
        self._last: tuple[BoundPlan, Batch] | None = None
        self._stepwise = dtype == np.float64 and all(edge.delay >= 0 for edge in plan.network.edges)

    def run(self, parameters: Array, batch: Batch) -> Mapping[str, Array]:
        return self._bind(batch, self._stepwise).run(parameters, batch)

    def loss(self, parameters: Array, batch: Batch) -> Array:
        return self._bind(batch).loss(parameters, batch)

    def loss_and_gradient(self, parameters: Array, batch: Batch, gradient: Array) -> Array:
        return self._bind(batch).loss_and_gradient(parameters, batch, gradient)

    def history(self, step: int) -> Mapping[str, Array]:
        if self._last is None:
            raise AssertionError("nothing was run yet")
        bound, batch = self._last
        return bound.history(batch, step)

    def stepper(self, size: int) -> NumpyStepper:
        space = self._allocate(1, size, ragged=False)
        return NumpyStepper(self._plan, space, self._attach(space))

    def _allocate(self, steps: int, size: int, ragged: bool, stepwise: bool = False) -> Workspace:
        """Memory for one shape of batch."""
        return Workspace(self._plan, steps, size, ragged, self._dtype, stepwise)

    def _attach(self, space: Workspace) -> BoundPlan:
        """The plan bound to memory."""
        return BoundPlan(self._plan, space)

    def _bind(self, batch: Batch, stepwise: bool = False) -> BoundPlan:
        stepwise = stepwise and batch.steps > 1
        key = (batch.steps, batch.size, batch.lengths is not None, stepwise)
        if key not in self._bound:
            while self._bound and self._crowded():
                self._bound.popitem(last=False)
            self._bound[key] = self._bind_shape(*key)
        self._bound.move_to_end(key)
        self._last = self._bound[key], batch
        return self._bound[key]

    def _bind_shape(self, steps: int, size: int, ragged: bool, stepwise: bool = False) -> BoundPlan:
        """The plan bound to memory of its own for one shape of batch."""
        return self._attach(self._allocate(steps, size, ragged, stepwise))

    def _crowded(self) -> bool:
        """Whether a shape has to go before another one is bound."""
        return len(self._bound) >= KEPT_SHAPES and self._measure() > KEPT_BYTES

    def _measure(self) -> int:
        """The bytes that all shapes take."""
        return sum(bound.count_bytes() for bound in self._bound.values())
