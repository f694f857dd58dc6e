"""The reference executor as a backend, so that whatever runs on a backend can be run on the oracle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch, CarriedState
from graphbptt.ir.noise import Noise
from graphbptt.ir.plan import Plan
from graphbptt.ir.product_precision import ProductPrecision
from graphbptt.reference.backward import reference_gradient
from graphbptt.reference.forward import ForwardPass, gather_history, measure_losses, run_reference

__all__ = ["ReferenceBackend", "ReferenceExecutable"]

Array = npt.NDArray[Any]


@dataclass(slots=True)
class ReferenceExecutable:
    """Meets `graphbptt.backend.Executable`; takes nothing from the plan but the network and its layout.

    `forward` is the stack of activities of the batch that was run last.
    """

    plan: Plan
    dtype: np.dtype[Any]
    forward: ForwardPass | None = None

    def run(self, parameters: Array, batch: Batch) -> dict[str, Array]:
        forward = self._run(parameters, batch)
        return {name: forward.series(name).astype(self.dtype) for name in self.plan.network.population}

    def loss(self, parameters: Array, batch: Batch) -> Array:
        return measure_losses(self._run(parameters, batch)).astype(self.dtype)

    def loss_and_gradient(self, parameters: Array, batch: Batch, gradient: Array) -> Array:
        forward = self._run(parameters, batch)
        gradient[...] = reference_gradient(forward, self.plan.layout)
        return measure_losses(forward).astype(self.dtype)

    def history(self, step: int) -> dict[str, Array]:
        if self.forward is None:
            raise AssertionError("nothing was run yet")
        return gather_history(self.forward, step)

    def stepper(self, size: int) -> ReferenceStepper:  # noqa: ARG002 - nothing is allocated
        return ReferenceStepper(ReferenceExecutable(self.plan, self.dtype))

    def _run(self, parameters: Array, batch: Batch) -> ForwardPass:
        self.forward = run_reference(self.plan.network, self.plan.layout, parameters, batch)
        return self.forward


@dataclass(frozen=True, slots=True)
class ReferenceStepper:
    """Meets `graphbptt.backend.Stepper`: each step is a batch that goes on from the rows of the one before."""

    executable: ReferenceExecutable

    def step(self, parameters: Array, batch: Batch) -> dict[str, Array]:
        if batch.carried is not None and not batch.carried.rows:
            batch = replace(batch, carried=replace(batch.carried, rows=self.history()))
        return {name: series[0] for name, series in self.executable.run(parameters, batch).items()}

    def repeat(self, parameters: Array, offset: int, noise: Noise | None) -> dict[str, Array]:
        if self.executable.forward is None:
            raise AssertionError("nothing was run yet")
        batch = self.executable.forward.batch
        return self.step(parameters, replace(batch, carried=CarriedState({}, offset), noise=noise))

    def history(self) -> dict[str, Array]:
        return self.executable.history(1)


@dataclass(frozen=True, slots=True)
class ReferenceBackend:
    """Meets `graphbptt.backend.Backend`."""

    name: str = "reference"
    precisions: tuple[ProductPrecision, ...] = ("full",)

    def missing(self) -> str | None:
        return None

    def awaited(self) -> bool:
        return True

    def describe(self) -> tuple[str, ...]:
        return ("purpose: to be compared with; it is slow",)

    def build(self, plan: Plan, dtype: np.dtype[Any]) -> ReferenceExecutable:
        return ReferenceExecutable(plan, dtype)
