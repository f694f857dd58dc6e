"""Loss and metrics over a whole dataset, chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.model import Model
from graphbptt.training.dataset import Dataset
from graphbptt.training.metrics import Figures, Tally, label_targets

__all__ = ["CHUNK", "Evaluation", "evaluate", "measure_loss"]

Array = npt.NDArray[Any]

CHUNK = 512
"""How many examples are run at a time, which bounds the memory of the states."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The total loss (of the network; a baseline has none) and the figures of every target."""

    loss: float | None
    figures: Figures


def evaluate(
    model: Model,
    data: Dataset,
    variance: Mapping[str, float] | None = None,
    chunk: int = CHUNK,
    noise: bool | int = True,
) -> Evaluation:
    """Run the model over all of `data`.

    Parameters
    ----------
    model : Model
    data : Dataset
    variance : mapping, optional
        The variance of fields, for the average relative variance.
    chunk : int
        The number of examples run at a time; no figure depends on it.
    noise : bool or int
        As for `Model.run`: by default nodes have their noise, from the model's own seed.
    """
    tally = Tally()
    labels = label_targets(model.network)
    losses = _Losses(model)
    for bound in _bind_chunks(model, data, chunk, noise):
        losses.add(bound)
        states = model.states(bound)
        for label, target, wanted in zip(labels, model.network.targets, bound.targets, strict=True):
            state = np.swapaxes(states[model.nodes[target.node]], 0, 1)
            predicted = state if target.units is None else state[..., list(target.units)]
            tally.measure(label, target, (predicted, wanted.values, wanted.weights), variance or {})
    return Evaluation(losses.total(), tally.figures())


def measure_loss(model: Model, data: Dataset, chunk: int = CHUNK) -> float:
    """The total loss over all of `data`; NaN where no target has a step."""
    losses = _Losses(model)
    for bound in _bind_chunks(model, data, chunk):
        losses.add(bound)
    return losses.total()


def _bind_chunks(model: Model, data: Dataset, chunk: int, noise: bool | int = True) -> Iterator[Batch]:
    """The examples, so many at a time, each with the noise it would have among all of them."""
    first = 0
    for part in data.batches(chunk):
        bound = model.bind(part.fields, part.steps, noise=noise)
        yield bound if bound.noise is None else replace(bound, noise=replace(bound.noise, example=first))
        first += bound.size


class _Losses:
    """The losses of chunks, combined as if they had been one batch."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._sums = np.zeros(len(model.network.targets))
        self._counts = np.zeros(len(model.network.targets))

    def add(self, bound: Batch) -> None:
        counts = np.array([target.count for target in bound.targets])
        self._sums += np.asarray(self._model.losses(bound), np.float64) * counts
        self._counts += counts

    def total(self) -> float:
        if not self._counts.any() and self._counts.size:
            return math.nan
        means = self._sums / np.where(self._counts > 0, self._counts, 1)
        return self._model.network.total_loss(means)
