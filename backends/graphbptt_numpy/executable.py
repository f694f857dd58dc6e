"""A plan on NumPy: pack, run the stages forward, put in the losses, run them backward, combine the copies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch, BoundTarget
from graphbptt.ir.losses import LossRule, resolve_loss
from graphbptt.ir.plan import LossSite, Plan
from graphbptt_numpy.boundary import (
    bind_initial_states,
    fill_given,
    fill_padding,
    gather_initial_gradients,
    hold_states,
    set_initial_states,
)
from graphbptt_numpy.copies import bind_combining, bind_packing
from graphbptt_numpy.tape import Tape
from graphbptt_numpy.workspace import Workspace

__all__ = ["NumpyExecutable"]

Array = npt.NDArray[Any]

KEPT_SHAPES = 4
"""How many shapes of batches keep their memory; the one not used for longest goes first."""


class _Bound:
    """A plan bound to the memory of one shape of batch."""

    def __init__(self, plan: Plan, space: Workspace) -> None:
        self.space = space
        self.packing = bind_packing(plan, space)
        self.combining = bind_combining(plan, space)
        self.changing = bind_initial_states(plan, space)
        self.forward = [Tape(space, stage.forward, stage.mode, backward=False) for stage in plan.stages]
        self._plan = plan
        self._backward: list[Tape] | None = None

    @property
    def backward(self) -> list[Tape]:
        """The backward sweeps, in the stages' order; bound when a gradient is first asked for."""
        if self._backward is None:
            stages = self._plan.stages
            self._backward = [Tape(self.space, stage.backward, stage.mode, backward=True) for stage in stages]
            self.space.pack_derived()
        return self._backward


class NumpyExecutable:
    """Meets `graphbptt.backend.Executable`."""

    def __init__(self, plan: Plan, dtype: np.dtype[Any]) -> None:
        self._plan = plan
        self._dtype = dtype
        self._bound: OrderedDict[tuple[int, int, bool], _Bound] = OrderedDict()
        self._rules = [resolve_loss(plan.network, target)[0] for target in plan.network.targets]

    def run(self, parameters: Array, batch: Batch) -> Mapping[str, Array]:
        space = self._forward(parameters, batch).space
        return {placement.population: space.whole(placement.state) for placement in self._plan.placements}

    def loss(self, parameters: Array, batch: Batch) -> Array:
        space = self._forward(parameters, batch).space
        with np.errstate(all="ignore"):
            return np.array([self._loss(space, site, batch) for site in self._plan.losses])

    def loss_and_gradient(self, parameters: Array, batch: Batch, gradient: Array) -> Array:
        bound = self._forward(parameters, batch)
        space = bound.space
        with np.errstate(all="ignore"):
            self._clear(space)
            losses = np.array(
                [self._loss(space, site, batch, differentiate=True) for site in self._plan.losses]
            )
            for tape in reversed(bound.backward):
                tape.run()
            gather_initial_gradients(self._plan, space, batch)
            for call in bound.combining:
                call()
            np.copyto(gradient, space.gradient)
        return losses

    def _forward(self, parameters: Array, batch: Batch) -> _Bound:
        bound = self._bind(batch)
        plan, space = self._plan, bound.space
        np.copyto(space.parameters, parameters)
        with np.errstate(all="ignore"):
            for call in bound.packing:
                call()
            space.pack_derived()
            set_initial_states(plan, space, batch, bound.changing)
            for name in space.held:
                hold_states(plan, space, batch, name)
            for stage, tape in zip(plan.stages, bound.forward, strict=True):
                if stage.mode == "given":
                    fill_given(plan, space, batch, stage.populations[0])
                tape.run()
                if space.padded is not None:
                    for name in stage.populations:
                        fill_padding(plan, space, batch, name)
        return bound

    def _bind(self, batch: Batch) -> _Bound:
        key = (batch.steps, batch.size, batch.lengths is not None)
        if key not in self._bound:
            if len(self._bound) == KEPT_SHAPES:
                self._bound.popitem(last=False)
            self._bound[key] = _Bound(self._plan, Workspace(self._plan, *key, self._dtype))
        self._bound.move_to_end(key)
        return self._bound[key]

    def _clear(self, space: Workspace) -> None:
        for view in self._plan.clear:
            lanes = self._plan.buffer[view.buffer].lanes
            space.select(view, space.time(view, 1, space.steps), lanes)[...] = 0
        for buffer in self._plan.buffers:
            if buffer.name.startswith("delta"):
                array = space.buffer(buffer.name)
                array[:, : buffer.before] = 0
                array[:, buffer.before + space.steps :] = 0

    def _loss(self, space: Workspace, site: LossSite, batch: Batch, differentiate: bool = False) -> float:
        """The mean loss of one target; adds its derivative to the deltas if asked."""
        target, bound = self._plan.network.targets[site.target], batch.targets[site.target]
        rows = _used_rows(bound)
        if rows is None:
            return 0.0
        rule, units = self._rules[site.target], slice(None) if target.units is None else list(target.units)
        predicted = space.whole(site.predicted)[rows][..., units]
        wanted, weights = bound.values[rows], bound.weights[rows]
        if differentiate and site.delta is not None:
            slope = rule.derivative(predicted, wanted)
            slope *= (weights * (target.weight / bound.count))[..., None]
            space.whole(site.delta)[rows][..., units] += slope
        return _mean(rule, predicted, wanted, weights, bound.count)


def _used_rows(bound: BoundTarget) -> slice | None:
    """The stretch of steps that holds every target of the batch; None if there is none."""
    used = np.flatnonzero(bound.weights.any(axis=1))
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else None


def _mean(rule: LossRule, predicted: Array, wanted: Array, weights: Array, count: float) -> float:
    return float(np.sum(weights * rule.value(predicted, wanted), dtype=np.float64) / count)
