"""Predictors whose figures stand beside the network's, fitted in the same run on the same part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.choices import Autoregression, BaselineChoice
from graphbptt.errors import DataError, Problem
from graphbptt.model import Model
from graphbptt.training.dataset import Dataset, Parts
from graphbptt.training.evaluation import Evaluation
from graphbptt.training.metrics import Tally, join_targets, label_targets

__all__ = ["BASELINES", "LinearAutoregression", "evaluate_baseline", "fit_autoregression"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class LinearAutoregression:
    """A linear map of the last `lags` values, newest first, and one: (lags * units + 1, units) weights."""

    lags: int
    weights: Array

    def predict(self, values: Array) -> Array:
        """One-step predictions of ``values[:, lags:]``, (examples, steps - lags, units)."""
        return _stack_lags(values, self.lags) @ self.weights


def fit_autoregression(settings: Autoregression, values: Array, weights: Array) -> LinearAutoregression:
    """Fit by least squares.

    Parameters
    ----------
    settings : Autoregression
    values : array, shape (examples, steps, units)
    weights : array, shape (examples, steps)
        The weight of each step's error; a step without `lags` steps before it is left out.

    Raises
    ------
    DataError
        There are fewer steps to fit than numbers to find.

    Examples
    --------
    >>> fibonacci = np.array([1.0, 1, 2, 3, 5, 8, 13]).reshape(1, 7, 1)
    >>> fit = fit_autoregression(Autoregression(lags=2), fibonacci, np.ones((1, 7)))
    >>> float(fit.predict(fibonacci)[0, -1, 0].round(6))
    13.0
    """
    columns = settings.lags * values.shape[-1] + 1
    root = np.sqrt(weights[:, settings.lags :].ravel())
    if np.count_nonzero(root) < columns:
        said = f"{np.count_nonzero(root)} steps to fit {columns} numbers"
        raise DataError(Problem("data.baseline.autoregression.lags", said, "use fewer lags"))
    seen = _stack_lags(values, settings.lags)
    wanted = values[:, settings.lags :].reshape(root.size, -1)
    solution, *_ = np.linalg.lstsq(seen.reshape(root.size, columns) * root[:, None], wanted * root[:, None])
    return LinearAutoregression(settings.lags, solution)


def _stack_lags(values: Array, lags: int) -> Array:
    examples, steps, _ = values.shape
    past = [values[:, lags - lag : steps - lag] for lag in range(1, lags + 1)]
    return np.concatenate([*past, np.ones((examples, steps - lags, 1))], axis=-1)


BASELINES: Mapping[str, Callable[[Any, Array, Array], LinearAutoregression]] = {
    "autoregression": fit_autoregression
}
"""How each baseline is fitted, by the names that `BaselineChoice` declares together with their settings."""


def evaluate_baseline(choice: BaselineChoice, model: Model, parts: Parts) -> dict[str, Evaluation]:
    """Fit to every squared-error target with a time axis, on the training part, and measure every part."""
    tallies = {name: Tally() for name, _ in parts.items()}
    joined = zip(label_targets(model.network, model.aliases), join_targets(model.network), strict=True)
    for label, (number, *_) in joined:
        target = model.network.targets[number]
        if target.loss_name != "squared_error" or parts.train.fields[target.field].ndim != 3:
            continue
        fit = BASELINES[choice.name](choice.options, *_wanted(model, parts.train, number))
        for name, data in parts.items():
            values, weights = _wanted(model, data, number)
            known = np.swapaxes(values[:, fit.lags :], 0, 1)
            predicted = np.swapaxes(fit.predict(values), 0, 1)
            seen = (predicted, known, weights.T[fit.lags :])
            tallies[name].measure(label, target, seen, parts.variance)
    return {name: Evaluation(None, tally.figures()) for name, tally in tallies.items()}


def _wanted(model: Model, data: Dataset, target: int) -> tuple[Array, Array]:
    """The values of a target's field, also where the network has no target, and the weight of each step."""
    bound = model.bind(data.fields, data.steps).targets[target]
    values = np.asarray(data.fields[model.network.targets[target].field], np.float64)
    return values, bound.weights.T.astype(np.float64)
