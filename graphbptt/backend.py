"""The protocol a backend meets, how one is found, and how a plan gets its executable.

A backend is an object in the entry-point group ``graphbptt.backends``. Nothing is imported until one is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from graphbptt.errors import BackendError, did_you_mean
from graphbptt.ir.batch import Batch
from graphbptt.ir.noise import Noise
from graphbptt.ir.plan import Plan
from graphbptt.ir.product_precision import ProductPrecision
from graphbptt.ir.updates import UpdateRule

__all__ = [
    "AUTO_ORDER",
    "Backend",
    "Executable",
    "Explaining",
    "Outcome",
    "Stepper",
    "Updater",
    "Updating",
    "build_executable",
    "check_installed",
    "find_backend",
    "list_backends",
    "load_backend",
    "log_once",
]

logger = logging.getLogger(__name__)

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

    def repeat(self, parameters: Array, offset: int, noise: Noise | None) -> Mapping[str, Array]:
        """The same for the batch of the step before, whose arrays may hold other values now: it goes on from there.

        `offset` is the number of steps that lie before, and `noise` what this step's is drawn from."""

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


@runtime_checkable
class Explaining(Protocol):
    """An executable that has more to say of how it runs than the plan does."""

    def explain(self, steps: int, size: int) -> str:
        """What it does for batches of so many steps and examples."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an update.

    Attributes
    ----------
    losses : array
        The mean of each term of the network's loss, before its weight, for the parameters before the update.
    penalty : float
        The penalties on parameters, for the same.
    norm : float
        The length that the gradient had, these penalties' derivatives included.
    finite : bool
        Whether all that the update has left is finite. Where the losses or the norm are not, there was none.
    """

    losses: Array
    penalty: float
    norm: float
    finite: bool


class Updater(Protocol):
    """Parameters that stay where a plan is run, and are updated there.

    Every update is prepared, started and finished; while it runs, the next one may be prepared, and no more. After
    `load`, and until they are fetched, the executable runs nothing else. An updater that was bound later puts an end to
    this one, which refuses to go on.
    """

    def load(self, parameters: Array) -> None:
        """Go on from this flat vector."""

    def prepare(self, batch: Batch) -> None:
        """Take a batch for the next update. One that was taken before, the very same, brings what it did."""

    def start(self) -> None:
        """Run forward and backward on the batch that was prepared last, and update the free parameters."""

    def finish(self) -> Outcome:
        """Wait until that is done."""

    def settle(self) -> None:
        """Wait for whatever runs, at once where nothing does; of what became of it nothing is said."""

    def fetch(self, parameters: Array, previous: Array) -> None:
        """Write there the free parameters, and those before the last update."""

    def fetch_gradient(self, gradient: Array) -> None:
        """Write there the gradient that the last update was made from."""


@runtime_checkable
class Updating(Protocol):
    """An executable that can keep the parameters."""

    def bind_update(self, rule: UpdateRule, limit: float | None) -> Updater:
        """Make ready to follow a rule, with gradients whose norm is at most `limit` or is shrunk to it."""


class Backend(Protocol):
    """What the entry point names.

    `precisions` are those of products that it has: what `Plan.precision` may be.
    """

    name: str
    precisions: tuple[ProductPrecision, ...]

    def missing(self) -> str | None:
        """Why it cannot run here, in one sentence, which more lines may explain; None if it can."""

    def awaited(self) -> bool:
        """Whether its users would wonder why ``auto`` passes over it, where it cannot run: some of what it needs is
        there, or should be."""

    def describe(self) -> Iterable[str]:
        """What it runs with here, if it can: a line for each thing that its users may want to know, ``name: value``.

        It takes no longer than `missing`, and imports nothing more.
        """

    def build(self, plan: Plan, dtype: np.dtype[Any]) -> Executable:
        """Make a plan ready to run.

        Raises
        ------
        BackendError
            It cannot, though it can run here; the first line of the message says why, the others what else is known.
        """


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
    reasons: dict[str, str] = {}
    for backend in _load_usable(name, reasons):
        return backend
    raise _explain_none(name, reasons)


def build_executable(name: str, plan: Plan, dtype: np.dtype[Any]) -> tuple[str, Executable]:
    """Make a plan ready to run by the backend called `name`; also tell which one it was.

    ``auto`` goes on to the next of `AUTO_ORDER` where one cannot run here or cannot make the plan ready, and logs a
    line about each that is awaited, once in a process: it is no warning of Python's, which some turn into errors.

    Raises
    ------
    BackendError
        There is none of that name, it says that it cannot run here, it cannot make the plan ready, or it has no
        products of the plan's precision.
    """
    reasons: dict[str, str] = {}
    for backend in _load_usable(name, reasons):
        if plan.precision not in backend.precisions:
            if name != "auto":
                raise _refuse_precision(name, plan.precision)
            continue
        try:
            executable = backend.build(plan, dtype)
        except BackendError as error:
            if name != "auto":
                raise
            reasons[backend.name] = str(error)
            continue
        for faster, reason in reasons.items():
            if _is_awaited(faster):
                log_once(
                    f"graphbptt runs on {backend.name}, not on the faster {faster}: {_shorten(reason, faster)}"
                )
        return backend.name, executable
    raise _explain_none(name, reasons, plan.precision)


def check_installed(name: str) -> None:
    """Whether `name` is an installed backend or ``auto``; nothing is imported.

    Raises
    ------
    BackendError
        It is neither.
    """
    installed = list_backends()
    if name != "auto" and name not in installed:
        remedy = did_you_mean(str(name), [*installed, "auto"])
        raise BackendError(f"backend {name!r} is not installed; {remedy}")


def _load_usable(name: str, reasons: dict[str, str]) -> Iterator[Backend]:
    """The backends that `name` may mean and that can run here, best first; `reasons` gets why others cannot."""
    check_installed(name)
    installed = list_backends()
    for candidate in AUTO_ORDER if name == "auto" else (name,):
        if candidate in installed:
            backend = load_backend(installed[candidate])
            if isinstance(backend, str):
                reasons[candidate] = backend
            else:
                yield backend


def _is_awaited(name: str) -> bool:
    try:
        backend: Backend = list_backends()[name].load()
    except Exception:  # as `load_backend` has it
        return True
    return backend.awaited()


def _refuse_precision(name: str, precision: ProductPrecision) -> BackendError:
    """Who has such products, if anyone has them here, and why others do not run."""
    said = f"{name} has no products of precision {precision}; write precision: full"
    lines = []
    for other in _list_precise(precision):
        backend = load_backend(list_backends()[other])
        if isinstance(backend, str):
            lines.append(f"backend {other!r}, which has them, cannot run here: {backend}")
        else:
            said += f", or backend: {other}"
    return BackendError("\n".join([said, *lines]))


def _list_precise(precision: ProductPrecision) -> list[str]:
    """Those of `AUTO_ORDER` that have products of this precision, whether they can run here or not."""
    installed, precise = list_backends(), []
    for name in AUTO_ORDER:
        with suppress(Exception):  # as `load_backend` has it; one that is not installed has none
            if precision in installed[name].load().precisions:
                precise.append(name)
    return precise


def _explain_none(
    name: str, reasons: Mapping[str, str], precision: ProductPrecision = "full"
) -> BackendError:
    """Why none runs; of a precision below full, why those do not that have it, since no other would help."""
    lines = {
        candidate: f"backend {candidate!r} cannot run here: {reason}" for candidate, reason in reasons.items()
    }
    if name == "auto" and precision != "full":
        head = f"no backend that can run here has products of precision {precision}; write precision: full"
        return BackendError("\n".join([head, *(lines[k] for k in _list_precise(precision) if k in lines)]))
    if name != "auto":
        lines["auto"] = "write backend: auto, which takes the fastest that can"
    else:
        lines[name] = "no backend can run here; reinstall graphbptt, which brings the numpy backend"
    return BackendError("\n".join(lines.values()))


def _shorten(reason: str, backend: str) -> str:
    """The first line of a reason, and how to see the others."""
    first, *others = reason.splitlines()
    return f"{first} ('backend: {backend}' shows more)" if others else first


@cache
def log_once(line: str) -> None:
    """Log a line about what runs, once in a process; `log_once.cache_clear` forgets what was said.

    It is seen on standard error unless the program has set up its logging in another way.
    """
    logger.warning("%s", line)
