"""A batch: the data of one call, checked and laid out as the executors read it.

    batch  := Batch(size, steps, lengths, clamps, targets, carried, noise, penalties)
    clamp  := BoundClamp(values, mask)          one for each clamp of the network, in its order
    target := BoundTarget(values, weights)      one for each target of the network, in its order; and for each of its
                                                penalties on states, which have no values
    carried := CarriedState(rows, offset)       what a batch goes on from, in place of the initial state
    noise  := Noise(seed, example)              what the noise of states is drawn from

Axes are (time, batch, unit); index 0 of the time axis is step 1. Arrays may be read-only broadcast views.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.noise import Noise

__all__ = ["Batch", "BoundClamp", "BoundTarget", "CarriedState"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class BoundClamp:
    """The values of one clamp; those of a clamp at the start are not read where a batch goes on from carried states.

    `values` has shape (steps, batch, units), or (history, batch, units) for a clamp at the start, row k for step -k.
    `mask` has the same shape, of booleans: where it is False the state is free, and `values` holds a zero. None means
    True everywhere. Padded steps are False or hold zeros: the executors keep them at the initial state.
    """

    values: Array
    mask: npt.NDArray[np.bool_] | None


@dataclass(frozen=True, eq=False)
class BoundTarget:
    """The wanted values of one target, or of a penalty, of which nothing is wanted: (steps, 0) values.

    `values` has shape (steps, batch, units), or (steps, batch) of integers for cross_entropy. `weights` has shape
    (steps, batch): the weight of each (step, example) pair in the mean, zero where there is no target (other steps,
    padding, mask). Where a weight is zero, `values` is finite and its value does not matter. `count` is the sum of
    the weights, the denominator of the mean.
    """

    values: Array
    weights: Array
    count: float

    @cached_property
    def rows(self) -> slice:
        """The stretch of steps, as indices of the time axis, that holds every target; empty if there is none."""
        if self.weights.all():  # which costs less than to ask it of each step
            return slice(0, len(self.weights))
        used = np.flatnonzero(self.weights.any(axis=1))
        return slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)

    @cached_property
    def weight(self) -> float | None:
        """The weight of every pair in `rows`, if they all have the same one."""
        weights = self.weights[self.rows]
        return float(weights.flat[0]) if weights.size and (weights == weights.flat[0]).all() else None


@dataclass(frozen=True, slots=True, eq=False)
class CarriedState:
    """Where earlier steps of the same sequences ended, for a batch that goes on from there.

    `rows` holds every population's history, (history, batch, units), row k for step -k of the batch. They stand in
    place of the initial state and of clamps at the start; no derivative passes to what they were computed from. In a
    batch for a `Stepper` they may be empty: it goes on from the step before.
    `offset` is the number of steps of the sequences that lie before the batch: the batch's step 1 is their step
    ``offset + 1``, from which listed steps count. What depends on the number of a step has to add it.
    """

    rows: Mapping[str, Array]
    offset: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Data for `size` sequences of `steps` steps.

    `lengths` (batch,) are their own lengths, or None if all are full; a sequence that ended before the batch has length
    0. `carried` is None where the sequences start with the batch. `noise` is None where states have none.
    """

    size: int
    steps: int
    lengths: npt.NDArray[np.int64] | None
    clamps: tuple[BoundClamp, ...]
    targets: tuple[BoundTarget, ...]
    carried: CarriedState | None = None
    noise: Noise | None = None
    penalties: tuple[BoundTarget, ...] = ()

    @property
    def terms(self) -> tuple[BoundTarget, ...]:
        """What is bound for the terms of the network's loss, in their order."""
        return (*self.targets, *self.penalties)

    @property
    def longest(self) -> int:
        """The number of steps that some sequence has; behind them, all is padding."""
        return self.steps if self.lengths is None else int(self.lengths.max())

    @property
    def offset(self) -> int:
        """The number of steps of the sequences that lie before the batch."""
        return 0 if self.carried is None else self.carried.offset
