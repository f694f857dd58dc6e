"""Where a state, a loss or a derivative stopped being a finite number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import DivergenceError
from graphbptt.ir.batch import Batch, BoundTarget
from graphbptt.ir.data import Target
from graphbptt.model import Model
from graphbptt.reference.read_unit import UnitPlace
from graphbptt.training.trace_state import Origin, trace_state

__all__ = ["FirstState", "explain_divergence", "find_first_loss", "find_first_state"]

Array = npt.NDArray[Any]


OPTIMIZER = "lower the optimizer's rate, or clip the gradient (training.clip)"
"""What helps against numbers that updates have made too large."""

START = "no update has made it so: write smaller starting values, or scale the data"
"""What helps where there was no update."""

SLOPE = "keep states away from where a slope is infinite, such as sqrt at 0"
"""What helps, too, where derivatives alone are not finite."""


def explain_divergence(
    model: Model, batches: Iterable[Batch], when: str, gradient: Array | None = None, *, updated: bool = False
) -> DivergenceError:
    """The error for a loss or a gradient that is not finite on bound batches.

    It names the node and the step of the first state that is not finite, and what it was computed from; where all
    states are, the node and the step of the target whose loss is not; where the loss is too, the parameter with the
    derivative. Steps count from the first of the sequences, of which a batch may be a later stretch. `updated` says
    whether an optimizer has moved the parameters.
    """
    causes = (_find_cause(model, bound) for bound in batches)
    cause = next(filter(None, causes), None) or _name_derivative(model, gradient, updated)
    return DivergenceError(f"{when}: {cause.what}; {cause.instead or (OPTIMIZER if updated else START)}")


def _find_cause(model: Model, bound: Batch) -> Origin | None:
    carried = {} if bound.carried is None else bound.carried.rows
    for node, rows in carried.items():
        if not np.isfinite(rows).all():  # of steps without a loss, in which nothing showed it
            return Origin(f"the state of node {node!r} is not finite before step {bound.offset + 1}")
    state = find_first_state(model, bound)
    if state is not None:
        begin = f"the state of node {state.node!r} is not finite from step {bound.offset + state.step} on"
        return replace(state.origin, what=f"{begin}: {state.origin.what}")
    found = find_first_loss(model, bound)
    if found is not None:
        node, step = found[0], bound.offset + found[1]
        return Origin(f"all states are finite, but the loss of node {node!r} is not from step {step} on")
    return None


@dataclass(frozen=True, slots=True)
class FirstState:
    """The first state of a batch that is not finite: its node, its step of the batch, and what made it so."""

    node: str
    step: int
    origin: Origin


def find_first_state(model: Model, bound: Batch) -> FirstState | None:
    """Run forward to the first state that is not finite.

    Of several nodes in one step it is the one that reads none of the others in that step.
    """
    with np.errstate(all="ignore"):
        states = model.states(bound)
    bad = {population: ~np.isfinite(array).all(axis=(0, 2)) for population, array in states.items()}
    begins = {node: int(found.argmax()) + 1 for node, found in bad.items() if found.any()}
    if not begins:
        return None
    first = min(begins.values())
    nodes = {node for node, step in begins.items() if step == first}
    led = {e.target for e in model.network.edges if e.delay == 0 and e.source in nodes}
    population = min(nodes - led or nodes)
    example, unit = map(int, np.argwhere(~np.isfinite(states[population][:, first - 1]))[0])
    origin = trace_state(model, bound, states, UnitPlace(population, unit, example, first))
    return FirstState(model.aliases.name_unit(population, unit), first, origin)


def find_first_loss(model: Model, bound: Batch) -> tuple[str, int] | None:
    """The node and the step of the batch of the first term whose loss, added up to that step, is not finite.

    A loss on the net input, or a sum of squares, can overflow where the state itself does not; the steps are
    halved until the first such one is left.
    """
    finite, infinite = 0, bound.steps
    if np.isfinite(_losses_until(model, bound, infinite)).all():
        return None
    while infinite - finite > 1:
        middle = (finite + infinite) // 2
        if np.isfinite(_losses_until(model, bound, middle)).all():
            finite = middle
        else:
            infinite = middle
    term = int((~np.isfinite(_losses_until(model, bound, infinite))).argmax())
    wrong = model.network.terms[term]
    units = wrong.units if isinstance(wrong, Target) else None
    return model.aliases.name_units(wrong.node, units), infinite


def _losses_until(model: Model, bound: Batch, step: int) -> Array:
    targets, penalties = (
        tuple(_count_until(term, step) for term in terms) for terms in (bound.targets, bound.penalties)
    )
    with np.errstate(all="ignore"):
        return model.losses(replace(bound, targets=targets, penalties=penalties))


def _count_until(term: BoundTarget, step: int) -> BoundTarget:
    """The same without the steps after `step`; the mean still divides by them."""
    weights = term.weights.copy()
    weights[step:] = 0
    return replace(term, weights=weights)


def _name_derivative(model: Model, gradient: Array | None, updated: bool) -> Origin:
    """The parameter whose derivative is not finite; the one with the largest if only their norm is not."""
    if gradient is None:
        return Origin("the sum of the losses, or a derivative, is not finite")
    layout = model.plan.layout
    largest = {
        slot.group: float(np.abs(layout.view(gradient, slot.group)).max())
        for slot in layout.slots
        if slot.stop <= layout.free
    }
    for group, size in largest.items():
        if not np.isfinite(size):
            what = f"all states are finite, but the derivative of parameter {group!r} is not"
            return Origin(what, f"{OPTIMIZER if updated else START}, or {SLOPE}")
    group = max(largest, key=lambda name: largest[name])
    what = f"the gradient is too long, most of all by parameter {group!r}, at {largest[group]:g}"
    return Origin(what, OPTIMIZER)
