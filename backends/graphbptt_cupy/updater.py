"""Updates of parameters that stay on a device, by batches of any shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.backend import Outcome
from graphbptt.errors import BackendError
from graphbptt.ir.batch import Batch
from graphbptt_cupy.bound_plan import DevicePlan
from graphbptt_cupy.device import Device

__all__ = ["DeviceUpdater"]

Array = npt.NDArray[Any]

ENDED = (
    "another training of this model has begun, and the optimizer's moments are its own now; train a copy in the "
    "meantime: copy.copy(model)"
)


@dataclass(frozen=True, slots=True)
class Left:
    """What may be asked of an update, on the host."""

    outcome: Outcome
    parameters: Array
    previous: Array
    gradient: Array


class DeviceUpdater:
    """Meets `graphbptt.backend.Updater`. `bind` finds the plan for the shape of a batch; plans share the parameters."""

    def __init__(self, device: Device, bind: Callable[[Batch], DevicePlan]) -> None:
        self._device, self._bind = device, bind
        self._parameters: Array | None = None
        self._prepared: DevicePlan | None = None
        self._started: DevicePlan | None = None
        self._left: Left | None = None
        self._ended = False

    def load(self, parameters: Array) -> None:
        self._require_current()
        self._parameters, self._started, self._left = parameters.copy(), None, None

    def prepare(self, batch: Batch) -> None:
        self._require_current()
        self._prepared = self._bind(batch)
        if self._parameters is not None:
            self._prepared.put_parameters(self._parameters)
            self._parameters = None
        self._prepared.prepare_update(batch)

    def start(self) -> None:
        self._require_current()
        if self._prepared is None:
            raise AssertionError("nothing was prepared")
        self._started, self._prepared, self._left = self._prepared, None, None
        self._started.start_update()

    def finish(self) -> Outcome:
        self._require_current()
        return self._find_started().finish_update() if self._left is None else self._left.outcome

    def settle(self) -> None:
        self._device.wait()

    def fetch(self, parameters: Array, previous: Array) -> None:
        self._require_current()
        if self._left is None:
            self._find_started().fetch_parameters(parameters, previous)
        else:
            np.copyto(parameters, self._left.parameters)
            np.copyto(previous, self._left.previous)

    def fetch_gradient(self, gradient: Array) -> None:
        self._require_current()
        if self._left is None:
            self._find_started().fetch_gradient(gradient)
        else:
            np.copyto(gradient, self._left.gradient)

    def release(self) -> None:
        """Wait for the update that runs, and let the memory of its plan go; what may be asked of it is kept."""
        if self._started is not None:
            self._left = _bring_left(self._started)
            self._started = None

    def end(self) -> None:
        """Refuse all that is asked from now on, and hold nothing."""
        self._ended = True
        self._prepared = self._started = self._left = None

    def _require_current(self) -> None:
        if self._ended:
            raise BackendError(ENDED)

    def _find_started(self) -> DevicePlan:
        if self._started is None:
            raise AssertionError("nothing was updated yet")
        return self._started


def _bring_left(plan: DevicePlan) -> Left:
    outcome = plan.finish_update()
    parameters, previous, gradient = (np.empty_like(plan.host.gradient) for _ in range(3))
    plan.fetch_parameters(parameters, previous)
    plan.fetch_gradient(gradient)
    return Left(outcome, parameters, previous, gradient)
