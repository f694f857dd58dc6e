"""Compare a model's derivatives with finite differences, in float64.

The difference quotient is the fourth-order central one, whose error, at its default spacing, lies far below what is
asked of a backend (`graphbptt.differences`). A derivative that does not agree with it is looked at more closely: where
the loss has a kink, it has to lie between the derivatives on the two sides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.differences import Curve
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
"""The error above which a derivative is looked at more closely, and a report says what in the network has kinks."""


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
    at_kinks : int
        How many entries stand at a kink of the loss, and lie between the derivatives on its two sides.
    """

    group: str
    entry: tuple[int, ...]
    computed: float
    expected: float
    error: float
    checked: int
    size: int
    name: str = ""
    at_kinks: int = 0

    def __str__(self) -> str:
        return (
            f"{self.group}: error {self.error:.1e} at {self.name or list(self.entry)},"
            f" computed {self.computed:.9g}, expected {self.expected:.9g}"
            f" ({self.checked} of {self.size} checked)"
        )


@dataclass(frozen=True, slots=True)
class GradientReport:
    """The worst entry of every group, and the loss at which the derivatives were taken.

    `kinks` says what in the network has kinks, where several that meet in one parameter can lead to a derivative that
    differences do not agree with.
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
        if number := sum(group.at_kinks for group in self.groups):
            stand, lie = ("derivative stands", "lies") if number == 1 else ("derivatives stand", "lie")
            lines.append(f"{number} {stand} at a kink, and {lie} between those on its two sides")
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
    group that averages its copies, the quotient is divided by their number, that of its penalty left aside. Where the
    loss has a kink, as at a net input of 0 of a rectified unit, a derivative is right that lies between those of the
    two sides.

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
    rounding = np.finfo(np.float64).eps * max(1.0, abs(loss))
    floor = 1e6 * rounding / spacing
    reports = []
    for slot in layout.slots:
        group = network.group[slot.group]
        if not group.trainable or not group.size:
            continue
        entries = np.sort(rng.choice(group.size, min(group.size, limit), replace=False))
        shares = np.ones(len(entries))
        if group.combine == "mean":
            number = network.count_entries(batch.longest, group.name, batch.carried is None, batch.offset)
            shares = 1 / np.maximum(number.ravel()[entries], 1)
        penalty = () if group.penalty is None else ((1.0, weigh),)
        curves = [
            Curve(((share, measure), *penalty), exact.vector, slot.offset + int(k), spacing, rounding)
            for k, share in zip(entries, shares, strict=True)
        ]
        report = _compare(slot, entries, gradient[slot.offset : slot.stop][entries], curves, floor)
        name = name_entry(exact.aliases, network, slot.group, report.entry)
        reports.append(report if name is None else replace(report, name=name))
    return GradientReport(loss, tuple(reports), tuple(_describe_kinks(network, exact.aliases)))


def _compare(
    slot: Slot, entries: Array, computed: Array, curves: Sequence[Curve], floor: float
) -> GroupReport:
    expected = np.array([curve.differentiate() for curve in curves])
    scale = max(floor, float(np.abs(expected).max()), float(np.abs(computed).max()))
    at_kinks = 0
    for place in map(int, np.flatnonzero(np.abs(computed - expected) > TOLERANCE * scale)):
        closer = curves[place].look_closer(float(computed[place]), TOLERANCE * scale)
        if closer is not None:
            expected[place] = closer.value
            at_kinks += closer.at_kink and abs(computed[place] - closer.value) <= TOLERANCE * scale
    errors = np.abs(computed - expected) / scale
    worst = int(np.argmax(np.nan_to_num(errors, nan=np.inf)))
    return GroupReport(
        slot.group,
        tuple(map(int, np.unravel_index(entries[worst], slot.shape))),
        float(computed[worst]),
        float(expected[worst]),
        float(errors[worst]),
        len(entries),
        math.prod(slot.shape),
        at_kinks=int(at_kinks),
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
            f"the activations of {', '.join(kinked)} have kinks; where several meet in one parameter, differences"
            " need not agree with its derivative. A net input of exactly 0, as of zero states and biases, is often on"
            " one: start their biases elsewhere, e.g. bias: {init: {normal: {std: 0.1}}}"
        )
    penalties = [(aliases.name_units(item.name), item.penalty) for item in network.populations]
    penalties += [(item.name, item.penalty) for item in network.groups]
    penalized = [name for name, penalty in penalties if penalty is not None and penalty.l1]
    if penalized:
        yield (
            f"the l1 penalties of {', '.join(penalized)} have a kink at 0, on which differences need not agree with a"
            " derivative: compare without them"
        )
