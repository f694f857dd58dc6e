"""The losses: one table with the value and its derivative by the states, side by side.

Every loss is a sum over units for one (step, example) pair; the executors average it over the pairs that have a
target. Where a loss and an activation belong together (binary cross-entropy and the logistic function, cross-entropy
and softmax) the pair is computed on the net input, which is exact where the state has saturated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from graphbptt.ir import unit_losses
from graphbptt.ir.data import Loss, Target
from graphbptt.ir.expression import Expression
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.functions import ACTIVATIONS
from graphbptt.ir.penalties import Penalty, StatePenalty
from graphbptt.ir.unit_losses import UnitLoss

__all__ = ["LOSSES", "LossRule", "resolve_loss"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class LossRule:
    """One loss.

    `measure` maps (predicted, wanted) to the loss, (steps, batch), and its derivative by `predicted`, of its shape
    (steps, batch, units). `wanted` has that shape too, or is (steps, batch) integers where `labels` is True. `bounds`
    is the closed range the states, and real-valued targets, must lie in. Where the activation equals `canonical`, the
    rule `on_net` is applied to the net input instead; where clamps forbid that, `on_state`, if there is one, is applied
    to the states. `options` are positive numbers, with their defaults, that `measure` takes by name. `unit` says what
    `measure` says of one unit, as expressions; it is None where units meet: in the losses with labels, whose states are
    logits or, where `of_probabilities` is True, add up to 1 already.
    """

    measure: Callable[..., tuple[Array, Array]]
    bounds: tuple[float, float] = (-np.inf, np.inf)
    labels: bool = False
    canonical: Expression | None = None
    on_net: LossRule | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    on_state: LossRule | None = None
    unit: UnitLoss | None = None
    of_probabilities: bool = False


def _squared_error(predicted: Array, wanted: Array) -> tuple[Array, Array]:
    """Half the sum over units of the squared difference."""
    difference = predicted - wanted
    squares: Array = np.einsum("tbu,tbu->tb", difference, difference)
    return squares * 0.5, difference


def _cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    """Minus the logarithm of the right unit's probability; the states are logits, or a `softmax` itself."""
    slope: Array = special.softmax(logits, axis=-1)
    at_label = labels[..., None]
    loss: Array = special.logsumexp(logits, axis=-1) - np.take_along_axis(logits, at_label, axis=-1)[..., 0]
    np.put_along_axis(slope, at_label, np.take_along_axis(slope, at_label, axis=-1) - 1, axis=-1)
    return loss, slope


def _cross_entropy_of_probabilities(probability: Array, labels: Array) -> tuple[Array, Array]:
    """The same of the probabilities themselves; where some of them are left out, the others make up the whole."""
    tiny = np.finfo(probability.dtype).tiny
    at_label = labels[..., None]
    total = np.maximum(probability.sum(axis=-1, keepdims=True), tiny)
    chosen = np.take_along_axis(probability, at_label, axis=-1)
    right = np.maximum(chosen, tiny)
    loss: Array = (np.log(total) - np.log(right))[..., 0]
    slope = np.broadcast_to(1 / total, probability.shape).copy()
    # Below that, the logarithm is constant.
    at_right = slope[..., :1] - np.where(right == chosen, 1 / right, 0)
    np.put_along_axis(slope, at_label, at_right, axis=-1)
    return loss, slope


def _binary_cross_entropy(probability: Array, wanted: Array) -> tuple[Array, Array]:
    """Minus the logarithm of the likelihood of each unit by itself; the states are probabilities."""
    # Clipped, the loss is finite and constant: the slope there is that of the constant.
    edge = np.finfo(probability.dtype).eps
    p = np.clip(probability, edge, 1 - edge)
    likelihood: Array = (wanted * np.log(p) + (1 - wanted) * np.log1p(-p)).sum(axis=-1)
    return -likelihood, np.where(p == probability, (p - wanted) / (p * (1 - p)), 0)


def _binary_cross_entropy_on_net(net: Array, wanted: Array) -> tuple[Array, Array]:
    loss: Array = (np.logaddexp(net, 0) - wanted * net).sum(axis=-1)
    return loss, special.expit(net) - wanted


def _poisson(rate: Array, counts: Array) -> tuple[Array, Array]:
    """Minus the log-likelihood of counts, without the part that no rate changes: the logarithm of their factorials."""
    r = np.maximum(rate, np.finfo(rate.dtype).tiny)
    # Below that, the logarithm is constant.
    return (rate - counts * np.log(r)).sum(axis=-1), 1 - np.where(r == rate, counts / r, 0)


def _poisson_on_net(net: Array, counts: Array) -> tuple[Array, Array]:
    rate = np.exp(net)
    return (rate - counts * net).sum(axis=-1), rate - counts


def _huber(predicted: Array, wanted: Array, delta: float = 1.0) -> tuple[Array, Array]:
    """Half the square of differences up to `delta`, and linear in larger ones (Huber 1964)."""
    difference = predicted - wanted
    slope = np.clip(difference, -delta, delta)
    return (slope * (difference - 0.5 * slope)).sum(axis=-1), slope


def _penalty(states: Array, wanted: Array, penalty: Penalty) -> tuple[Array, Array]:  # noqa: ARG001
    """The penalty on a node's states; nothing is wanted but that they are small."""
    return penalty.measure(states)


LOSSES: dict[str, LossRule] = {
    "squared_error": LossRule(_squared_error, unit=unit_losses.squared_error),
    "cross_entropy": LossRule(
        _cross_entropy,
        labels=True,
        canonical=ACTIVATIONS["softmax"],
        on_net=LossRule(_cross_entropy, labels=True),
        on_state=LossRule(_cross_entropy_of_probabilities, bounds=(0, 1), labels=True, of_probabilities=True),
    ),
    "binary_cross_entropy": LossRule(
        _binary_cross_entropy,
        bounds=(0, 1),
        canonical=ACTIVATIONS["logistic"],
        on_net=LossRule(
            _binary_cross_entropy_on_net, bounds=(0, 1), unit=unit_losses.binary_cross_entropy_on_net
        ),
        unit=unit_losses.binary_cross_entropy,
    ),
    "poisson": LossRule(
        _poisson,
        bounds=(0, np.inf),
        canonical=ACTIVATIONS["exp"],
        on_net=LossRule(_poisson_on_net, bounds=(0, np.inf), unit=unit_losses.poisson_on_net),
        unit=unit_losses.poisson,
    ),
    "huber": LossRule(_huber, options={"delta": 1.0}, unit=unit_losses.huber),
}


def resolve_loss(
    network: FoldedNetwork, target: Target | StatePenalty
) -> tuple[LossRule, Literal["state", "net"]]:
    """The rule a term of the loss uses, and whether it reads the states of its node or the net input.

    A node with clamps other than at the start is read at its state, since there a clamp may stand for the activation.
    """
    if isinstance(target, StatePenalty):
        unit = partial(unit_losses.penalize, penalty=target.penalty)
        return LossRule(partial(_penalty, penalty=target.penalty), unit=unit), "state"
    rule = LOSSES[target.loss_name]
    options = dict(target.loss.options) if isinstance(target.loss, Loss) else {}
    if options:
        own = None if rule.unit is None else partial(rule.unit, **options)
        rule = replace(rule, measure=partial(rule.measure, **options), unit=own)
    clamped = any(clamp.node == target.node and clamp.at != "start" for clamp in network.clamps)
    if network.population[target.node].activation == rule.canonical:
        if rule.on_net is not None and not clamped:
            return rule.on_net, "net"
        return rule.on_state or rule, "state"
    return rule, "state"
