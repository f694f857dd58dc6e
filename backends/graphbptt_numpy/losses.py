"""Where the loss meets states: the mean of each of its terms, and its derivative added to the deltas."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.losses import resolve_loss
from graphbptt.ir.plan import LossSite, Plan
from graphbptt_numpy.workspace import Workspace

__all__ = ["TermLoss"]

Array = npt.NDArray[Any]


class TermLoss:
    """One term of a network's loss, bound to the memory it reads and adds to."""

    def __init__(self, plan: Plan, space: Workspace, site: LossSite) -> None:
        self._term = plan.network.terms[site.term]
        self._index = site.term
        self._rule, _ = resolve_loss(plan.network, self._term)
        self._units = None if self._term.units is None else list(self._term.units)
        self._predicted = space.whole(site.predicted)
        self._space, self._site = space, site

    def mean(self, batch: Batch, differentiate: bool) -> float:
        """The mean over the (step, example) pairs that count; adds its derivative if asked."""
        bound = batch.terms[self._index]
        rows, weights = bound.rows, bound.weights[bound.rows]
        if not len(weights):
            if differentiate and self._delta is not None and not self._site.accumulate:
                self._delta.fill(0)
            return 0.0
        predicted = self._predicted[rows]
        if self._units is not None:
            predicted = predicted[..., self._units]
        loss, slope = self._rule.measure(predicted, bound.values[rows])
        mean = float(np.vdot(weights, loss)) / bound.count
        if differentiate and self._delta is not None:
            factor = self._term.weight / bound.count
            factors = (weights * factor)[..., None] if bound.weight is None else bound.weight * factor
            self._pass_on(self._delta, rows, slope, factors)
        return mean

    def _pass_on(self, delta: Array, rows: slice, slope: Array, factors: Any) -> None:
        """``delta (+)= slope * factors`` at the steps of a stretch; a plain write makes the others zero."""
        part = delta[rows]
        if not self._site.accumulate:
            np.multiply(slope, factors, out=part)
            delta[: rows.start] = 0
            delta[rows.stop :] = 0
            return
        slope *= factors
        if self._units is None:
            np.add(part, slope, out=part)
        else:
            part[..., self._units] += slope

    @cached_property
    def _delta(self) -> Array | None:
        """Where the derivative goes; memory is taken when it is first asked for."""
        return None if self._site.delta is None else self._space.whole(self._site.delta)
