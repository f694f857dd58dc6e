"""The layout of all parameters in one flat vector.

    layout := ParameterLayout(slots)
    slot   := Slot(group, offset, shape)

The free (trainable) groups come first, so that an optimizer works on one contiguous slice; the fixed ones follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.initializers import draw_group
from graphbptt.ir.parameters import Group

__all__ = [
    "ParameterLayout",
    "Slot",
    "add_penalty_slopes",
    "draw_parameters",
    "measure_penalties",
    "place_parameters",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a group's array lies in the flat vector, in C order."""

    group: str
    offset: int
    shape: tuple[int, ...]

    @property
    def stop(self) -> int:
        return self.offset + math.prod(self.shape)


@dataclass(frozen=True)
class ParameterLayout:
    """All slots in order; `free` numbers are trainable, `size` is the length of the whole vector."""

    slots: tuple[Slot, ...]
    free: int
    size: int

    @cached_property
    def slot(self) -> dict[str, Slot]:
        """The slots by group name."""
        return {slot.group: slot for slot in self.slots}

    def view(self, vector: Array, group: str) -> Array:
        """The group's array as a view into the flat vector."""
        slot = self.slot[group]
        return vector[slot.offset : slot.stop].reshape(slot.shape)


def place_parameters(network: FoldedNetwork) -> ParameterLayout:
    """Lay out the groups: free ones first, each in the network's order."""
    slots: list[Slot] = []
    offset = free = 0
    for trainable in (True, False):
        for group in network.groups:
            if group.trainable is trainable:
                slots.append(Slot(group.name, offset, group.shape))
                offset += group.size
        free = offset if trainable else free
    return ParameterLayout(tuple(slots), free, offset)


def draw_parameters(
    network: FoldedNetwork,
    layout: ParameterLayout,
    seed: int,
    dtype: npt.DTypeLike,
    names: Mapping[str, str] | None = None,
) -> Array:
    """A fresh flat vector: every group drawn from its initializer, by the name that `names` gives it, or its own."""
    vector = np.empty(layout.size, dtype)
    for group in network.groups:
        layout.view(vector, group.name)[...] = draw_group(group, seed, (names or {}).get(group.name))
    return vector


def measure_penalties(groups: Iterable[Group], layout: ParameterLayout, vector: Array) -> dict[str, float]:
    """The penalty on each of these groups that has one, given the flat vector."""
    penalties = {}
    for group in groups:
        if group.penalty is not None:
            with np.errstate(over="ignore"):  # what overflows is named as a loss that is not finite
                penalty, _ = group.penalty.measure(layout.view(vector, group.name).ravel())
            penalties[group.name] = float(penalty)
    return penalties


def add_penalty_slopes(
    groups: Iterable[Group], layout: ParameterLayout, vector: Array, gradient: Array
) -> None:
    """Add the derivatives of these groups' penalties to the flat gradient of the free parameters."""
    for group in groups:
        if group.penalty is not None:
            slot = layout.slot[group.name]
            part = slice(slot.offset, slot.stop)
            gradient[part] += group.penalty.measure(vector[part])[1]
