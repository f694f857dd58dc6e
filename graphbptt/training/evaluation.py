"""Loss and metrics over a whole dataset, chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import Problem, SpecError
from graphbptt.ir.batch import Batch
from graphbptt.ir.data import Target
from graphbptt.ir.penalties import StatePenalty
from graphbptt.model import Model, check_model
from graphbptt.training.dataset import Dataset, as_dataset
from graphbptt.training.metrics import Figures, Tally, join_targets, label_targets

__all__ = ["CHUNK", "Evaluation", "LossTally", "bind_chunks", "evaluate", "measure_loss"]

Array = npt.NDArray[Any]

CHUNK = 512
"""How many examples are run at a time, which bounds the memory of the states."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The total loss (of the network; a baseline has none) and the figures of every target and every penalty."""

    loss: float | None
    figures: Figures


def evaluate(
    model: Model,
    data: Dataset | Mapping[str, npt.ArrayLike],
    variance: Mapping[str, float] | None = None,
    chunk: int = CHUNK,
    noise: bool | int = True,
) -> Evaluation:
    """Run the model over all of `data`.

    Parameters
    ----------
    model : Model
    data : Dataset or mapping
        The examples; a mapping holds arrays by field name, (examples, time, units) or (examples, units).
    variance : mapping, optional
        The variance of fields, for the average relative variance.
    chunk : int
        The number of examples run at a time; no figure depends on it.
    noise : bool or int
        As for `Model.run`: by default nodes have their noise, from the model's own seed.

    Raises
    ------
    DataError
        The data do not fit the network.
    SpecError
        `chunk` is no whole number from 1 on.
    """
    check_model(model)
    examples = as_dataset("data", data)
    if isinstance(chunk, bool) or not isinstance(chunk, int | np.integer) or chunk < 1:
        what = f"{chunk!r} examples cannot be run at a time"
        raise SpecError(Problem("chunk", what, "write a whole number from 1 on"))
    tally = Tally()
    labels = label_targets(model.network, model.aliases)
    losses = LossTally(model)
    for bound in bind_chunks(model, examples, chunk, noise):
        losses.add(bound, model.losses(bound))
        states = model.states(bound)
        for label, numbers in zip(labels, join_targets(model.network), strict=True):
            parts = [model.network.targets[number] for number in numbers]
            wanted = [bound.targets[number] for number in numbers]
            predicted = np.concatenate([_pick_states(states, part) for part in parts], axis=-1)
            values = wanted[0].values if len(parts) == 1 else np.concatenate([w.values for w in wanted], -1)
            tally.measure(label, parts[0], (predicted, values, wanted[0].weights), variance or {})
    for term, mean in zip(model.network.terms, losses.means(), strict=True):
        if isinstance(term, StatePenalty):
            tally.add(model.aliases.name_units(term.node), "penalty on states", (mean, 1))
    for group, penalty in model.penalties().items():
        tally.add(group, "penalty on weights", (penalty, 1))
    return Evaluation(losses.total(), tally.figures())


def _pick_states(states: Mapping[str, Array], target: Target) -> Array:
    """The states that a target is on, (step, example, unit)."""
    state = np.swapaxes(states[target.node], 0, 1)
    return state if target.units is None else state[..., list(target.units)]


def measure_loss(model: Model, data: Dataset, chunk: int = CHUNK) -> float:
    """The total loss over all of `data`; NaN where no target has a step."""
    losses = LossTally(model)
    for bound in bind_chunks(model, data, chunk):
        losses.add(bound, model.losses(bound))
    return losses.total()


def bind_chunks(model: Model, data: Dataset, chunk: int = CHUNK, noise: bool | int = True) -> Iterator[Batch]:
    """The examples, so many at a time, each with the noise it would have among all of them."""
    first = 0
    for part in data.batches(chunk):
        bound = model.bind(part.fields, part.steps, noise=noise)
        yield bound if bound.noise is None else replace(bound, noise=replace(bound.noise, example=first))
        first += bound.size


class LossTally:
    """The losses of chunks or windows, combined as if they had been one batch.

    Parameters may change between windows: their penalties are averaged, each window weighing as much as it has pairs.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._sums = np.zeros(len(model.network.terms))
        self._counts = np.zeros(len(model.network.terms))
        self._penalty = self.pairs = 0.0

    def add(self, bound: Batch, losses: Array, penalty: float | None = None) -> None:
        """Add the means of all terms of the loss over one batch, and the penalties on parameters: on the model's as
        they are, unless these are given."""
        counts = np.array([term.count for term in bound.terms])
        self._sums += np.asarray(losses, np.float64) * counts
        self._counts += counts
        pairs = float(counts.sum()) if counts.size else 1.0  # without terms, one loss is like another
        if penalty is None:
            penalty = sum(self._model.penalties().values())
        self._penalty += pairs * penalty
        self.pairs += pairs

    def means(self) -> Array:
        """The mean of each term over all that was added; 0 where it had no step."""
        return self._sums / np.where(self._counts > 0, self._counts, 1)

    def total(self) -> float:
        """The total loss; NaN where no term had a step."""
        if not self.pairs:
            return math.nan
        return self._model.network.total_loss(self.means()) + self._penalty / self.pairs
