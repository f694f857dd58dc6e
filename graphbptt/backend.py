"""The protocol a backend meets, and how one is found.

A backend is an object in the entry-point group ``graphbptt.backends``. Nothing is imported until one is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from graphbptt.errors import BackendError, did_you_mean
from graphbptt.ir.batch import Batch
from graphbptt.ir.plan import Plan

__all__ = ["AUTO_ORDER", "Backend", "Executable", "Stepper", "find_backend", "list_backends", "load_backend"]

GROUP = "graphbptt.backends"
AUTO_ORDER = ("cupy", "native", "numpy")
"""What ``backend: auto`` tries, fastest first."""

Array = npt.NDArray[Any]


class Stepper(Protocol):
    """A plan that is run one step at a time; it keeps the states in between."""

    def step(self, parameters: Array, batch: Batch) -> Mapping[str, Array]:
        """The states of every population after one more step, (batch, units), valid until the next one.

        The batch has one step. It starts anew where it carries nothing, goes on from the rows that it carries, and
        where these are empty from the step before. In float64 the bits are those of `Executable.run`.
        """

    def history(self) -> Mapping[str, Array]:
        """What the populations hold now and before, as `Executable.history` says."""


class Executable(Protocol):
    """A plan made ready to run. `parameters` is the flat vector of the plan's layout, in the plan's dtype."""

    def run(self, parameters: Array, batch: Batch) -> Mapping[str, Array]:
        """The states of every population, (steps, batch, units); padded steps hold the initial state.

        In float64, where nothing looks ahead, a step's numbers do not depend on how many steps the batch has: to run in
        pieces, each going on from the one before, gives the same bits.
        """

    def loss(self, parameters: Array, batch: Batch) -> Array:
        """The mean of each term of the network's loss (`FoldedNetwork.terms`), before its weight."""

    def loss_and_gradient(self, parameters: Array, batch: Batch, gradient: Array) -> Array:
        """The same; writes the derivative of the weighted total by the free parameters into `gradient`."""

    def history(self, step: int) -> Mapping[str, Array]:
        """What the batch that was run last holds at `step` and before, (history, batch, units) by population, row k for
        step ``step - k``; where a sequence, or the batch, ends earlier, at its end. A batch can go on from these
        rows."""

    def stepper(self, size: int) -> Stepper:
        """Make ready to run `size` sequences one step at a time, where nothing looks ahead."""


class Backend(Protocol):
    """What the entry point names."""

    name: str

    def missing(self) -> str | None:
        """Why it cannot run here, in one sentence; None if it can."""

    def build(self, plan: Plan, dtype: np.dtype[Any]) -> Executable:
        """Make a plan ready to run."""


def list_backends() -> dict[str, metadata.EntryPoint]:
    """The installed backends by name, none of them imported."""
    return {entry.name: entry for entry in metadata.entry_points(group=GROUP)}


def load_backend(entry: metadata.EntryPoint) -> Backend | str:
    """Load a backend; where it cannot be loaded or cannot run here, the reason, in one sentence."""
    try:
        backend: Backend = entry.load()
    except Exception as error:  # importing runs the backend's own code and that of its libraries
        return f"it cannot be imported: {error}"
    return backend.missing() or backend


def find_backend(name: str = "auto") -> Backend:
    """Load the backend called `name`; ``auto`` takes the first of `AUTO_ORDER` that can run here.

    Other backends, such as the slow `reference`, have to be asked for by name.

    Raises
    ------
    BackendError
        There is none of that name, or it says that it cannot run here.
    """
    installed = list_backends()
    if name != "auto" and name not in installed:
        remedy = did_you_mean(str(name), [*installed, "auto"])
        raise BackendError(f"backend {name!r} is not installed; {remedy}")
    reasons = []
    for candidate in AUTO_ORDER if name == "auto" else (name,):
        if candidate in installed:
            backend = load_backend(installed[candidate])
            if not isinstance(backend, str):
                return backend
            reasons.append(f"backend {candidate!r} cannot run here: {backend}")
    if name == "auto":
        reasons.append("no backend can run here; reinstall graphbptt, which brings the numpy backend")
    raise BackendError("\n".join(reasons))
