"""Where a state, a loss or a derivative stopped being a finite number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import DivergenceError
from graphbptt.ir.batch import Batch, BoundTarget
from graphbptt.ir.data import Target
from graphbptt.model import Model

__all__ = ["explain_divergence", "find_first_loss", "find_first_state"]

Array = npt.NDArray[Any]


def explain_divergence(
    model: Model, batches: Iterable[Batch], when: str, gradient: Array | None = None
) -> DivergenceError:
    """The error for a loss or a gradient that is not finite on bound batches.

    It names the node and the step of the first state that is not finite; where all states are, the node and
    the step of the target whose loss is not; where the loss is too, the parameter with the derivative. Steps count
    from the first of the sequences, of which a batch may be a later stretch.
    """
    causes = (_find_cause(model, bound) for bound in batches)
    cause = next(filter(None, causes), None) or _name_derivative(model, gradient)
    return DivergenceError(
        f"{when}: {cause}; lower the optimizer's rate, or clip the gradient (training.clip)"
    )


def _find_cause(model: Model, bound: Batch) -> str | None:
    carried = {} if bound.carried is None else bound.carried.rows
    for node, rows in carried.items():
        if not np.isfinite(rows).all():  # of steps without a loss, in which nothing showed it
            return f"the state of node {node!r} is not finite before step {bound.offset + 1}"
    found = find_first_state(model, bound)
    if found is not None:
        return f"the state of node {found[0]!r} is not finite from step {bound.offset + found[1]} on"
    found = find_first_loss(model, bound)
    if found is not None:
        node, step = found[0], bound.offset + found[1]
        return f"all states are finite, but the loss of node {node!r} is not from step {step} on"
    return None


def find_first_state(model: Model, bound: Batch) -> tuple[str, int] | None:
    """Run forward: the node and the step of the batch of the first state that is not finite.

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
    wrong = ~np.isfinite(states[population][:, first - 1]).all(axis=0)
    return model.aliases.name_unit(population, int(wrong.argmax())), first


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


def _name_derivative(model: Model, gradient: Array | None) -> str:
    """The parameter whose derivative is not finite; the one with the largest if only their norm is not."""
    if gradient is None:
        return "the sum of the losses is not finite"
    layout = model.plan.layout
    largest = {
        slot.group: float(np.abs(layout.view(gradient, slot.group)).max())
        for slot in layout.slots
        if slot.stop <= layout.free
    }
    for group, size in largest.items():
        if not np.isfinite(size):
            return f"all states are finite, but the derivative of parameter {group!r} is not"
    group = max(largest, key=lambda name: largest[name])
    return f"the gradient is too long, most of all by parameter {group!r}, at {largest[group]:g}"
