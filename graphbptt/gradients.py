"""Compare a model's derivatives with finite differences, in float64.

The difference quotient is the fourth-order central one, whose error, at its default spacing, lies far below
what is asked of a backend: ``f'(p) = (8 (f(p+h) - f(p-h)) - (f(p+2h) - f(p-2h))) / 12h + O(h**4)`` (Fornberg
1988, *Generation of finite difference formulas on arbitrarily spaced grids*).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import Problem, SpecError
from graphbptt.ir.aliases import Aliases
from graphbptt.ir.batch import Batch
from graphbptt.ir.expression import calls
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.functions import KINKED
from graphbptt.ir.layout import Slot
from graphbptt.model import Model, check_model
from graphbptt.named import name_entry

__all__ = ["GradientReport", "GroupReport", "check_batch", "check_gradients"]

Array = npt.NDArray[Any]
Fields = Mapping[str, npt.ArrayLike]

TOLERANCE = 1e-6
"""The error above which a report says where there are kinks."""

STENCIL = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))
"""Offsets in units of the spacing, and their weights."""

WIDTHS = (16.0, 1.0, 1 / 16)
"""The spacings tried, in units of the one asked for."""


@dataclass(frozen=True, slots=True)
class GroupReport:
    """The worst entry of one group.

    Attributes
    ----------
    group : str
    entry : tuple of int
        Its index in the group's array.
    computed, expected : float
        The backend's derivative and the difference quotient.
    error : float
        Their difference relative to the larger of the group's largest derivative and the smallest one that
        differences of a loss of this size can tell from zero.
    checked, size : int
        How many entries were compared, of how many.
    name : str
        The parameter that the entry is, where single nodes were put together; else empty.
    """

    group: str
    entry: tuple[int, ...]
    computed: float
    expected: float
    error: float
    checked: int
    size: int
    name: str = ""

    def __str__(self) -> str:
        return (
            f"{self.group}: error {self.error:.1e} at {self.name or list(self.entry)},"
            f" computed {self.computed:.9g}, expected {self.expected:.9g}"
            f" ({self.checked} of {self.size} checked)"
        )


@dataclass(frozen=True, slots=True)
class GradientReport:
    """The worst entry of every group, and the loss at which the derivatives were taken.

    `kinks` says what in the network has kinks, where differences say nothing of a derivative that may be right.
    """

    loss: float
    groups: tuple[GroupReport, ...]
    kinks: tuple[str, ...] = ()

    @property
    def worst(self) -> GroupReport | None:
        """The group with the largest error; None where nothing is learned."""
        return max(self.groups, key=lambda group: group.error, default=None)

    @property
    def error(self) -> float:
        """The largest relative error."""
        return self.worst.error if self.worst is not None else 0.0

    def __str__(self) -> str:
        return "\n".join([self.format_groups(), *(self.kinks if self.error > TOLERANCE else ())])

    def format_groups(self) -> str:
        """The groups alone, the worst first."""
        lines = [f"loss {self.loss:.9g}; largest relative error of its derivatives {self.error:.1e}"]
        lines.extend(f"  {group}" for group in sorted(self.groups, key=lambda group: -group.error))
        return "\n".join(lines)


def check_gradients(
    model: Model,
    fields: Fields,
    steps: int | None = None,
    *,
    spacing: float = 1e-4,
    limit: int = 32,
    seed: int = 0,
    noise: bool | int = True,
) -> GradientReport:
    """Compare the derivatives of a model's backend with finite differences.

    The model is rebuilt in float64 with the same parameters and the same backend, and left as it is. In a
    group that averages its copies, the quotient is divided by their number, that of its penalty left aside.

    Parameters
    ----------
    model : Model
        Its fixed groups have no derivative and are left out.
    fields : mapping
        The data, as for `Model.run`, with the targets.
    steps : int, optional
        The number of steps; needed only where no field has a time axis.
    spacing : float
        The difference h, relative to a parameter where it is above 1. Wider and narrower ones are tried too.
    limit : int
        How many entries to compare in a group that has more; which ones is drawn from `seed`.
    noise : bool or int
        As for `Model.run`; the draw is the same for every difference.

    Returns
    -------
    GradientReport

    Raises
    ------
    DataError
        The fields do not fit the network.
    SpecError
        `limit` is no whole number from 1 on, or `spacing` no number above 0.
    """
    check_model(model)
    exact = Model(model.plan, model.backend, "float64", model.seed, model.aliases)
    exact.vector[...] = model.vector
    return check_batch(exact, exact.bind(fields, steps, noise=noise), spacing=spacing, limit=limit, seed=seed)


def check_batch(
    exact: Model, batch: Batch, *, spacing: float = 1e-4, limit: int = 32, seed: int = 0
) -> GradientReport:
    """The same for a model of float64 and a bound batch; what the batch carries is held constant."""
    if isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1:
        problem = Problem("limit", f"{limit!r} entries cannot be compared", "write a whole number from 1 on")
        raise SpecError(problem)
    if isinstance(spacing, bool) or not isinstance(spacing, Real) or not 0 < spacing < math.inf:
        problem = Problem("spacing", f"{spacing!r} is no difference", "write a number above 0, such as 1e-4")
        raise SpecError(problem)
    layout, network = exact.plan.layout, exact.network
    gradient = np.zeros(layout.free)
    loss = exact.loss_and_gradient(batch, gradient)
    rng = np.random.default_rng(seed)

    def measure() -> float:
        return network.total_loss(exact.losses(batch))

    def weigh() -> float:
        return sum(exact.penalties().values())

    # A loss, or the states it compares, carries a rounding error which a quotient divides by its spacing.
    # What is smaller than a million times that counts as if it were this large.
    floor = 1e6 * np.finfo(np.float64).eps * max(1.0, abs(loss)) / spacing
    reports = []
    for slot in layout.slots:
        group = network.group[slot.group]
        if not group.trainable or not group.size:
            continue
        entries = np.sort(rng.choice(group.size, min(group.size, limit), replace=False))
        places = [slot.offset + int(k) for k in entries]
        quotients = np.array([_differentiate(measure, exact.vector, k, spacing) for k in places])
        shared: Array | int = 1
        if group.combine == "mean":
            number = network.count_entries(batch.longest, group.name, batch.carried is None, batch.offset)
            shared = np.maximum(number.ravel()[entries], 1)
        expected = quotients / shared
        if group.penalty is not None:
            expected += [_differentiate(weigh, exact.vector, k, spacing) for k in places]
        computed = gradient[slot.offset : slot.stop][entries]
        report = _compare(slot, entries, computed, expected, floor)
        name = name_entry(exact.aliases, network, slot.group, report.entry)
        reports.append(report if name is None else replace(report, name=name))
    return GradientReport(loss, tuple(reports), tuple(_describe_kinks(network, exact.aliases)))


def _differentiate(measure: Callable[[], float], vector: Array, index: int, spacing: float) -> float:
    """The derivative of `measure` by ``vector[index]``: the quotient of the spacing that suits it.

    A narrow spacing lets rounding show; it is used where the loss bends so sharply that the wider ones still
    err, which shows in changes that shrink with the spacing (by its fourth power).
    """
    wide, middle, narrow = (_divide_differences(measure, vector, index, width * spacing) for width in WIDTHS)
    return narrow if WIDTHS[0] * abs(middle - narrow) < abs(wide - middle) else middle


def _divide_differences(measure: Callable[[], float], vector: Array, index: int, spacing: float) -> float:
    """The difference quotient of `measure` by ``vector[index]``, which is left as it was."""
    value = vector[index]
    # A power of two, so that the parameter and its neighbours differ by exactly this.
    step = 2.0 ** round(math.log2(spacing * max(1.0, abs(value))))
    total = 0.0
    for offset, weight in STENCIL:
        vector[index] = value + offset * step
        total += weight * measure()
    vector[index] = value
    return total / step


def _compare(slot: Slot, entries: Array, computed: Array, expected: Array, floor: float) -> GroupReport:
    scale = max(floor, float(np.abs(expected).max()), float(np.abs(computed).max()))
    errors = np.abs(computed - expected) / scale if scale else np.zeros(len(entries))
    worst = int(np.argmax(np.nan_to_num(errors, nan=np.inf)))
    return GroupReport(
        slot.group,
        tuple(map(int, np.unravel_index(entries[worst], slot.shape))),
        float(computed[worst]),
        float(expected[worst]),
        float(errors[worst]),
        len(entries),
        math.prod(slot.shape),
    )


def _describe_kinks(network: FoldedNetwork, aliases: Aliases) -> Iterator[str]:
    """Activations and penalties that have a kink somewhere, and how to keep away from it."""
    kinked = [
        aliases.name_units(population.name)
        for population in network.populations
        if any(call.function in KINKED for call in calls([population.activation]))
    ]
    if kinked:
        yield (
            f"the activations of {', '.join(kinked)} have kinks, where differences say nothing; a net input of"
            " exactly 0, as of zero states and biases, is often on one: start their biases elsewhere, e.g."
            " bias: {init: {normal: {std: 0.1}}}"
        )
    penalties = [(aliases.name_units(item.name), item.penalty) for item in network.populations]
    penalties += [(item.name, item.penalty) for item in network.groups]
    penalized = [name for name, penalty in penalties if penalty is not None and penalty.l1]
    if penalized:
        yield (
            f"the l1 penalties of {', '.join(penalized)} have a kink at 0, where differences say nothing: compare"
            " without them"
        )
