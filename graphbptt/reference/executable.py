"""The reference executor as a backend, so that whatever runs on a backend can be run on the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.plan import Plan
from graphbptt.reference.backward import reference_loss_and_gradient
from graphbptt.reference.forward import measure_losses, run_reference

__all__ = ["ReferenceBackend", "ReferenceExecutable"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ReferenceExecutable:
    """Meets `graphbptt.backend.Executable`; takes nothing from the plan but the network and its layout."""

    plan: Plan
    dtype: np.dtype[Any]

    def run(self, parameters: Array, batch: Batch) -> dict[str, Array]:
        forward = run_reference(self.plan.network, self.plan.layout, parameters, batch)
        return {name: forward.series(name).astype(self.dtype) for name in self.plan.network.population}

    def loss(self, parameters: Array, batch: Batch) -> Array:
        forward = run_reference(self.plan.network, self.plan.layout, parameters, batch)
        return measure_losses(forward).astype(self.dtype)

    def loss_and_gradient(self, parameters: Array, batch: Batch, gradient: Array) -> Array:
        plan = self.plan
        losses, gradient[...] = reference_loss_and_gradient(plan.network, plan.layout, parameters, batch)
        return losses.astype(self.dtype)


@dataclass(frozen=True, slots=True)
class ReferenceBackend:
    """Meets `graphbptt.backend.Backend`."""

    name: str = "reference"

    def missing(self) -> str | None:
        return None

    def build(self, plan: Plan, dtype: np.dtype[Any]) -> ReferenceExecutable:
        return ReferenceExecutable(plan, dtype)
