"""How closely an executor agrees with the reference: the one measure that the conformance suite uses.

In single precision what is measured is the arithmetic: the reference computes in double precision from the same
numbers, those that single precision can hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from graphbptt.backend import Executable, list_backends
from graphbptt.ir.batch import Batch
from graphbptt.ir.plan import Plan
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.reference import add_copies, derive_copies, measure_losses, run_reference


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an array may be off: a share of its norm and, for what rounding leaves of numbers that cancel, a share of
    the largest number that went into it: some hundred units in the last place, for some hundred operations."""

    relative: float
    rounding: float


TOLERANCES = {
    np.dtype(np.float64): Tolerance(1e-10, 1e-13),
    np.dtype(np.float32): Tolerance(1e-5, 1e-5),
}

UNIT = 2.0**-24
"""What rounding to single precision changes a number by, as a share of it."""

PERTURBATIONS = 16
"""How many times the change that such a change of all parameters brings about a result may be off: where states grow
apart, as in a chaotic network, so do those of two right executors."""

BACKENDS = [
    name
    for name, entry in sorted(list_backends().items())
    if name != "reference" and entry.load().missing() is None
]
"""The backends that are installed and can run here."""


@dataclass
class Expected:
    """What the reference computes for one batch."""

    states: dict[str, np.ndarray]
    losses: np.ndarray
    gradient: np.ndarray
    largest_state: float
    largest_derivative: float


def expect(plan: Plan, vector: np.ndarray, batch: Batch) -> Expected:
    forward = run_reference(plan.network, plan.layout, vector, batch)
    copies = derive_copies(forward)
    combined = add_copies(forward.network, copies)
    gradient = np.zeros(plan.layout.size)
    for slot in plan.layout.slots:
        plan.layout.view(gradient, slot.group)[...] = combined[slot.group]
    return Expected(
        {name: forward.series(name) for name in plan.network.population},
        measure_losses(forward),
        gradient[: plan.layout.free],
        max([1.0, *(_largest(state) for state in forward.states.values())]),
        max([1.0, *(_largest(derivative) for derivative in copies.values())]),
    )


def assert_agreement(plan: Plan, executable: Executable, vector: np.ndarray, batch: Batch) -> None:
    """In double precision."""
    assert_computes(expect(plan, vector, batch), plan, executable, vector, batch)


def assert_single_agreement(
    plan: Plan, executable: Executable, vector: np.ndarray, fields: Mapping[str, np.ndarray], steps: int
) -> None:
    """In single precision."""
    single, fields = round_to_single(vector), {name: round_to_single(field) for name, field in fields.items()}
    exact, double = bind_batch(plan.network, fields, steps, np.float64), single.astype(np.float64)
    signs = np.random.default_rng(0).choice([-1, 1], double.shape)
    expected, near = (expect(plan, parameters, exact) for parameters in (double, double * (1 + UNIT * signs)))
    batch = bind_batch(plan.network, fields, steps, np.float32)
    assert_computes(expected, plan, executable, single, batch, near)


def round_to_single(array: np.ndarray) -> np.ndarray:
    """Numbers that single precision holds; lengths and labels are such."""
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def assert_computes(
    expected: Expected,
    plan: Plan,
    executable: Executable,
    vector: np.ndarray,
    batch: Batch,
    near: Expected | None = None,
) -> None:
    """States, losses and derivatives, each array by itself, each asked for as a user would.

    `near` is what is expected of parameters that are changed a little: results may be off by as much, some times.
    """
    close = partial(assert_close, precision=vector.dtype)
    near = near or expected
    states = executable.run(vector, batch)
    assert set(states) == set(expected.states)
    for name, series in expected.states.items():
        assert states[name].dtype == vector.dtype
        close(states[name], series, expected.largest_state, f"states of {name}", near=near.states[name])
    close(executable.loss(vector, batch), expected.losses, expected.largest_state, "losses", near=near.losses)
    gradient = np.full(plan.layout.free, np.nan, vector.dtype)
    # Twice: nothing of one call may be left in the buffers of the next.
    for _ in range(2):
        losses = executable.loss_and_gradient(vector, batch, gradient)
        close(losses, expected.losses, expected.largest_state, "losses", near=near.losses)
        for slot in plan.layout.slots:
            if slot.stop <= plan.layout.free:
                found, wanted, other = (
                    array[slot.offset : slot.stop] for array in (gradient, expected.gradient, near.gradient)
                )
                what = f"derivative by {slot.group}"
                close(found, wanted, expected.largest_derivative, what, near=other)


def assert_close(
    found: Any,
    wanted: np.ndarray,
    largest: float,
    what: str,
    precision: Any = np.float64,
    near: np.ndarray | None = None,
) -> None:
    found = np.asarray(found)
    assert found.shape == wanted.shape, what
    tolerance = TOLERANCES[np.dtype(precision)]
    error = float(np.linalg.norm(found - wanted))
    allowed = tolerance.relative * float(np.linalg.norm(wanted)) + tolerance.rounding * largest
    if near is not None:
        allowed += PERTURBATIONS * float(np.linalg.norm(near - wanted))
    assert error <= allowed, f"{what}: off by {error:.3e}, allowed {allowed:.3e}\n{found}\n{wanted}"


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max(initial=0))
