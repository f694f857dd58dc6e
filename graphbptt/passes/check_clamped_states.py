"""Losses on states that a clamp sets: these are data, for which an activation promises nothing.

A loss that is defined for states within bounds refuses values outside of them, where it reads them. Cross-entropy also
refuses a softmax of which some units are set and others computed: together they would add up to anything. Where no mask
decides that, the compiler says so, else each batch is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import BoundClamp, BoundTarget
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.losses import resolve_loss
from graphbptt.passes.lay_out_fields import AXES, report_wrong
from graphbptt.passes.read_fields import FieldReader

__all__ = ["check_clamped_states", "find_torn"]


def find_torn(network: FoldedNetwork, target: Target) -> tuple[Clamp, list[int]] | None:
    """A clamp that, whatever the data, sets some of the units that a target compares as probabilities while others are
    computed, and these; None if there is none."""
    if target.mask is not None or not resolve_loss(network, target)[0].of_probabilities:
        return None
    clamps = [clamp for clamp in network.clamps if _may_set(clamp, target) and clamp.mask is None]
    wanted = set(_list_units(network, target))
    for step in _list_steps(target, clamps):
        there = [clamp for clamp in clamps if clamp.at == "every" or step in clamp.at]
        computed = wanted.difference(*(_list_units(network, clamp) for clamp in there))
        if computed and computed != wanted:
            setting = next(c for c in there if not wanted.isdisjoint(_list_units(network, c)))
            return setting, sorted(computed)
    return None


def check_clamped_states(
    reader: FieldReader,
    network: FoldedNetwork,
    clamps: Sequence[BoundClamp],
    targets: Sequence[BoundTarget],
    label: Callable[[Any], str],
) -> None:
    """Report the values of clamps that a target's loss is not defined for, where it reads them."""
    for target, bound in zip(network.targets, targets, strict=False):  # a run has none
        pairs = zip(network.clamps, clamps, strict=True)
        setting = tuple((clamp, given) for clamp, given in pairs if _may_set(clamp, target))
        if setting:
            rule, _ = resolve_loss(network, target)
            reading = Reading(network, target, label(target), bound.weights != 0, setting)
            if np.isfinite(rule.bounds).any():
                _report_outside(reader, reading, *rule.bounds)
            if rule.of_probabilities:
                _report_torn(reader, reading)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A target that reads clamped states: `name` is what its user calls it, `there`, (time, batch), where it wants
    something, and `setting` the clamps of its node, with their values."""

    network: FoldedNetwork
    target: Target
    name: str
    there: npt.NDArray[np.bool_]
    setting: tuple[tuple[Clamp, BoundClamp], ...]


def _report_outside(reader: FieldReader, reading: Reading, low: float, high: float) -> None:
    wanted = _list_units(reading.network, reading.target)
    instead = (
        f"the target of {reading.name} reads these states, and {reading.target.loss_name} is defined for those from"
        f" {low:g} to {high:g}; give such values, or leave these steps out of the target (at, or a mask)"
    )
    for clamp, given in reading.setting:
        read = np.isin(_list_units(reading.network, clamp), wanted)
        wrong = ((given.values < low) | (given.values > high)) & read & reading.there[..., None]
        if given.mask is not None:
            wrong &= given.mask
        report_wrong(reader, f"field {clamp.field}", given.values, wrong, AXES, instead)


def _report_torn(reader: FieldReader, reading: Reading) -> None:
    network, target = reading.network, reading.target
    held = np.zeros((*reading.there.shape, network.population[target.node].units), np.bool_)
    for clamp, given in reading.setting:
        held[..., _list_units(network, clamp)] |= True if given.mask is None else given.mask
    held = held[..., _list_units(network, target)]
    torn = held.any(axis=-1) & ~held.all(axis=-1) & reading.there
    if torn.any():
        step, example = np.argwhere(torn)[0]
        what = (
            f"{target.loss_name} compares probabilities of which clamps set some and leave others to be computed at"
            f" example {example}, step {step + 1}"
        )
        instead = (
            "let masks set all of them there, or none, or leave such steps out of the target (at, or a mask)"
        )
        reader.report(f"target of {reading.name}", what, instead)


def _may_set(clamp: Clamp, target: Target) -> bool:
    """Whether a clamp sets states that a target may read; those before step 1 it does not."""
    return clamp.node == target.node and clamp.at != "start"


def _list_units(network: FoldedNetwork, item: Clamp | Target) -> list[int]:
    return list(range(network.population[item.node].units) if item.units is None else item.units)


def _list_steps(target: Target, clamps: Sequence[Clamp]) -> Iterator[int]:
    """The steps of a target at which different clamps are; 0 stands for all that none of them lists."""
    if isinstance(target.at, tuple):
        yield from target.at
        return
    yield 0
    if target.at == "every":
        yield from (step for clamp in clamps if isinstance(clamp.at, tuple) for step in clamp.at)
