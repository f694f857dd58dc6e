"""Where a state or a derivative stopped being a finite number."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import DivergenceError
from graphbptt.model import Model
from graphbptt.training.dataset import Dataset

__all__ = ["explain_divergence", "find_first_nonfinite"]

Array = npt.NDArray[Any]


def explain_divergence(model: Model, data: Dataset, gradient: Array | None, when: str) -> DivergenceError:
    """The error for a loss or a gradient that is not finite on `data`.

    It names the node and step where it began or, where all states are finite, the parameter whose
    derivative is not.
    """
    found = find_first_nonfinite(model, data)
    if found is not None:
        cause = f"the state of node {found[0]!r} is not finite from step {found[1]} on"
    else:
        cause = (
            _name_derivative(model, gradient) or "all states are finite, but the loss or its gradient is not"
        )
    return DivergenceError(
        f"{when}: {cause}; lower the optimizer's rate, or clip the gradient (training.clip)"
    )


def find_first_nonfinite(model: Model, data: Dataset) -> tuple[str, int] | None:
    """Run forward: the node and the step of the first state that is not finite.

    Of several nodes in one step it is the one that reads none of the others in that step.
    """
    with np.errstate(all="ignore"):
        states = model.run(data.fields, model.bind(data.fields, data.steps).steps)
    bad = {node: ~np.isfinite(array).all(axis=(0, 2)) for node, array in states.items()}
    begins = {node: int(steps.argmax()) + 1 for node, steps in bad.items() if steps.any()}
    if not begins:
        return None
    first = min(begins.values())
    nodes = {node for node, step in begins.items() if step == first}
    led = {e.target for e in model.network.edges if e.delay == 0 and e.source in nodes}
    return min(nodes - led or nodes), first


def _name_derivative(model: Model, gradient: Array | None) -> str | None:
    if gradient is None:
        return None
    layout = model.plan.layout
    for slot in layout.slots:
        if slot.stop <= layout.free and not np.isfinite(layout.view(gradient, slot.group)).all():
            return f"all states are finite, but the derivative of parameter {slot.group!r} is not"
    return None
