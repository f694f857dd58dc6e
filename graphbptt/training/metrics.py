"""What is measured beside the loss: one table, and the tally that combines chunks by their counts.

    metric  := (predicted, wanted, weights) -> (sum, count)     its value is the one over the other
    figures := {target: {metric: value}}

Axes are (step, example, unit); `weights` (step, example) is zero where nothing is wanted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from graphbptt.ir.aliases import Aliases
from graphbptt.ir.data import Target
from graphbptt.ir.folded import FoldedNetwork

__all__ = ["METRICS", "RELATIVE_VARIANCE", "Figures", "Metric", "Tally", "join_targets", "label_targets"]

Array = npt.NDArray[Any]
Metric = Callable[[Array, Array, Array], tuple[float, float]]
Figures = Mapping[str, Mapping[str, float]]

RELATIVE_VARIANCE = "average relative variance"
"""The mean squared error over the variance of the field's record (Weigend, Huberman and Rumelhart 1990)."""

MIDDLE = 0.5
"""Between the two values of a bit."""


def _squared_error(predicted: Array, wanted: Array, weights: Array) -> tuple[float, float]:
    squares = np.square(predicted - wanted, dtype=np.float64).mean(axis=-1)
    return float((squares * weights).sum()), float(weights.sum(dtype=np.float64))


def _absolute_error(predicted: Array, wanted: Array, weights: Array) -> tuple[float, float]:
    errors = np.abs(predicted - wanted, dtype=np.float64).mean(axis=-1)
    return float((errors * weights).sum()), float(weights.sum(dtype=np.float64))


def _deviance(predicted: Array, wanted: Array, weights: Array) -> tuple[float, float]:
    """Twice the log-likelihood that counts lose against rates equal to them (Nelder and Wedderburn 1972)."""
    rate = np.maximum(predicted, np.finfo(predicted.dtype).tiny, dtype=np.float64)
    lost = 2 * (special.xlogy(wanted, wanted / rate) - (wanted - rate)).mean(axis=-1)
    return float((lost * weights).sum()), float(weights.sum(dtype=np.float64))


def _bits_right(predicted: Array, wanted: Array, weights: Array) -> tuple[float, float]:
    right = (predicted > MIDDLE) == (wanted > MIDDLE)
    chosen = weights > 0
    return float(right[chosen].sum()), float(chosen.sum() * right.shape[-1])


def _sequences_right(predicted: Array, wanted: Array, weights: Array) -> tuple[float, float]:
    right = ((predicted > MIDDLE) == (wanted > MIDDLE)).all(axis=-1)
    chosen = weights > 0
    asked = chosen.any(axis=0)
    return float((right | ~chosen).all(axis=0)[asked].sum()), float(asked.sum())


def _labels_right(predicted: Array, wanted: Array, weights: Array) -> tuple[float, float]:
    chosen = weights > 0
    return float((predicted.argmax(axis=-1) == wanted)[chosen].sum()), float(chosen.sum())


METRICS: Mapping[str, Mapping[str, Metric]] = {
    "squared_error": {"mean squared error": _squared_error},
    "binary_cross_entropy": {"bits right": _bits_right, "sequences right": _sequences_right},
    "cross_entropy": {"labels right": _labels_right},
    "poisson": {"mean deviance": _deviance},
    "huber": {"mean absolute error": _absolute_error},
}
"""The metrics of each loss, by name."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums and counts by target and metric, added up over chunks.

    >>> tally = Tally()
    >>> tally.add("y", "labels right", (1, 1))
    >>> tally.add("y", "labels right", (1, 3))
    >>> tally.figures()
    {'y': {'labels right': 0.5}}
    """

    sums: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def add(self, target: str, metric: str, measured: tuple[float, float]) -> None:
        total, count = self.sums.get((target, metric), (0.0, 0.0))
        self.sums[target, metric] = (total + measured[0], count + measured[1])

    def measure(
        self, label: str, target: Target, seen: tuple[Array, Array, Array], variance: Mapping[str, float]
    ) -> None:
        """Add every metric of a target for what was `seen`: (predicted, wanted, weights)."""
        for name, metric in METRICS[target.loss_name].items():
            self.add(label, name, metric(*seen))
        if target.loss_name == "squared_error" and variance.get(target.field):
            total, count = _squared_error(*seen)
            self.add(label, RELATIVE_VARIANCE, (total, count * variance[target.field]))

    def figures(self) -> dict[str, dict[str, float]]:
        """The quotients; NaN where nothing was counted."""
        result: dict[str, dict[str, float]] = {}
        for (target, metric), (total, count) in self.sums.items():
            result.setdefault(target, {})[metric] = float(total / count) if count else math.nan
        return result


def join_targets(network: FoldedNetwork) -> list[list[int]]:
    """The numbers of the targets, those together that are parts of one that was put on several nodes."""
    joined: list[list[int]] = []
    before: Target | None = None
    for number, target in enumerate(network.targets):
        if target.columns is not None and before is not None and _is_part(target, before):
            joined[-1].append(number)
        else:
            joined.append([number])
        before = target
    return joined


def _is_part(target: Target, before: Target) -> bool:
    """Whether a target goes on where the one before it ends: at further columns of the same field."""
    if target.columns is None or before.columns is None:
        return False
    like = replace(before, node=target.node, units=target.units, columns=target.columns)
    return like == target and target.columns.width == before.columns.width


def label_targets(network: FoldedNetwork, aliases: Aliases) -> list[str]:
    """A name for each of the `join_targets`: its node; with the field, and a number, where targets share it. One on
    several nodes is called by its field."""
    firsts = [network.targets[numbers[0]] for numbers in join_targets(network)]
    nodes = [
        target.field if target.columns is not None else aliases.name_units(target.node, target.units)
        for target in firsts
    ]
    labels = [
        node if nodes.count(node) == 1 else f"{node} to {target.field}"
        for node, target in zip(nodes, firsts, strict=True)
    ]
    return [
        label if labels.count(label) == 1 else f"{label} ({labels[: index + 1].count(label)})"
        for index, label in enumerate(labels)
    ]
