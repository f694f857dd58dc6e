"""Where targets meet states: the mean loss of each target, and its derivative added to the deltas."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.losses import resolve_loss
from graphbptt.ir.plan import LossSite, Plan
from graphbptt_numpy.workspace import Workspace

__all__ = ["TargetLoss"]

Array = npt.NDArray[Any]


class TargetLoss:
    """One target of a network, bound to the memory it reads and adds to."""

    def __init__(self, plan: Plan, space: Workspace, site: LossSite) -> None:
        self._target = plan.network.targets[site.target]
        self._index = site.target
        self._rule, _ = resolve_loss(plan.network, self._target)
        self._units = None if self._target.units is None else list(self._target.units)
        self._predicted = space.whole(site.predicted)
        self._space, self._site = space, site

    def mean(self, batch: Batch, differentiate: bool) -> float:
        """The mean loss over the (step, example) pairs that have a target; adds its derivative if asked."""
        bound = batch.targets[self._index]
        used = np.flatnonzero(bound.weights.any(axis=1))
        if not len(used):
            return 0.0
        rows = slice(int(used[0]), int(used[-1]) + 1)
        predicted = self._predicted[rows]
        if self._units is not None:
            predicted = predicted[..., self._units]
        wanted, weights = bound.values[rows], bound.weights[rows]
        if differentiate and self._site.delta is not None:
            slope = self._rule.derivative(predicted, wanted)
            slope *= _spread(weights, self._target.weight / bound.count)
            delta = self._space.whole(self._site.delta)[rows]
            if self._units is None:
                np.add(delta, slope, out=delta)
            else:
                delta[..., self._units] += slope
        return float(np.sum(weights * self._rule.value(predicted, wanted), dtype=np.float64) / bound.count)


def _spread(weights: Array, factor: float) -> Array:
    """The factor of each (step, example) pair; one number where all are alike, which is less to multiply."""
    first = weights.flat[0]
    return first * factor if (weights == first).all() else (weights * factor)[..., None]
