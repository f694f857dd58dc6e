"""How closely an executor agrees with the reference: the one measure that the conformance suite uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphbptt.backend import Executable, list_backends
from graphbptt.ir.batch import Batch
from graphbptt.ir.plan import Plan
from graphbptt.reference import add_copies, derive_copies, measure_losses, run_reference

# Of an array's norm. On top, what rounding leaves of numbers that cancel: the largest number that went into
# the array times a few hundred units in the last place, for a few hundred operations.
RELATIVE = 1e-10
ROUNDING = 1e-13


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
    """States, losses and derivatives, each array by itself, each asked for as a user would."""
    expected = expect(plan, vector, batch)
    states = executable.run(vector, batch)
    assert set(states) == set(expected.states)
    for name, series in expected.states.items():
        assert_close(states[name], series, expected.largest_state, f"states of {name}")
    assert_close(executable.loss(vector, batch), expected.losses, expected.largest_state, "losses")
    gradient = np.full(plan.layout.free, np.nan)
    # Twice: nothing of one call may be left in the buffers of the next.
    for _ in range(2):
        losses = executable.loss_and_gradient(vector, batch, gradient)
        assert_close(losses, expected.losses, expected.largest_state, "losses")
        for slot in plan.layout.slots:
            if slot.stop <= plan.layout.free:
                found, wanted = gradient[slot.offset : slot.stop], expected.gradient[slot.offset : slot.stop]
                assert_close(found, wanted, expected.largest_derivative, f"derivative by {slot.group}")


def assert_close(found: Any, wanted: np.ndarray, largest: float, what: str) -> None:
    found = np.asarray(found)
    assert found.shape == wanted.shape, what
    error = float(np.linalg.norm(found - wanted))
    allowed = RELATIVE * float(np.linalg.norm(wanted)) + ROUNDING * largest
    assert error <= allowed, f"{what}: off by {error:.3e}, allowed {allowed:.3e}\n{found}\n{wanted}"


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max(initial=0))
