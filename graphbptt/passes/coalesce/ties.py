"""Parameters of one number each -> the groups they form, and those that are tied gathered in joint arrays.

    family := Family(first, owners, tie, scale, init)       parameters that say the same but for numbers and names
    joint  := Joint(name, init, trainable, combine, keys, shape)

All rules of ties are those of `fold_ties`, which sees the first member that every family has of every group, and any
member that starts otherwise than the first. What a group of one number is then becomes a number of a joint array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.network_schema import Tie
from graphbptt.errors import Problem
from graphbptt.ir.initializers import take_signs
from graphbptt.ir.parameters import Combine, Draws, FrozenArray, Group, Init, Initializer, hash_name
from graphbptt.ir.penalties import Penalty
from graphbptt.ir.signs import SIGNS, Sign
from graphbptt.passes.fold_ties import DeclaredParameter, fold_ties

__all__ = ["Family", "Joint", "JointArrays", "draw_each", "fold_families"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

MOST_SHOWN = 5
"""Of so many ties whose members start differently the members are shown."""

SAME = 1e-12
"""By which share starting values of one group may differ."""


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """The parameters of some owners, edges or nodes by position, that say the same but for these columns.

    `first` is that of the first owner, `name` gives the parameter's name of any; `tie` is a number of a tie, or -1 for
    all of them; `init` NaN where a number is not what they start from. `sign` is that of the weights.
    """

    first: DeclaredParameter
    owners: Array
    tie: Array
    scale: Array
    init: Array
    name: Callable[[int], str]
    sign: Sign | None = None

    @property
    def tied(self) -> bool:
        return self.first.declared.tie is not None

    def pick(self, chosen: Array) -> Family | None:
        """The family of some of the owners; None where none is left."""
        if not chosen.any():
            return None
        columns = self.owners[chosen], self.tie[chosen], self.scale[chosen], self.init[chosen]
        return Family(self.first, *columns, self.name, self.sign)

    def member(self, index: int, ties: Sequence[str]) -> DeclaredParameter:
        """A member as it would be declared by itself."""
        name, said = self.name(int(self.owners[index])), self.first.declared
        update: dict[str, Any] = {}
        if said.tie is not None:
            group, scale = ties[self.tie[index]], float(self.scale[index])
            update["tie"] = Tie(group=group, scale=scale, combine=said.tie.combine)
        if isinstance(said.init, FrozenArray):
            update["init"] = FrozenArray(np.full(said.init.values.shape, self.init[index]))
        path = self.first.path.replace(self.first.name, name)
        return replace(self.first, name=name, path=path, declared=said.model_copy(update=update))


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """Groups of one number as one array; `keys` are those of their names, `shape` is that of each."""

    name: str
    init: Init
    trainable: bool
    combine: Combine
    penalty: Penalty | None
    keys: npt.NDArray[np.uint64]
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False)
class JointArrays:
    """The joint arrays, and for every tie which one it is in, -1 for none, and at what position."""

    arrays: tuple[Joint, ...]
    number: Array
    position: Array


def fold_families(
    families: Sequence[Family], ties: Sequence[str], prefix: str, problems: list[Problem]
) -> JointArrays:
    """The joint arrays of all ties; every rule about the families' parameters checked."""
    alike = _compare_ties(families, len(ties))
    picked: list[DeclaredParameter] = []
    signs: dict[str, int] = {}
    for family in families:
        shown = family.pick(np.isin(family.tie, alike.shown)) if family.tied else family
        if shown is not None:
            picked += _pick_members(shown, ties)
            if shown.tied and shown.sign is not None:
                signs |= {
                    ties[tie]: _demand_sign(shown, index) for index, tie in enumerate(shown.tie.tolist())
                }
    groups, uses = fold_ties(picked, problems)
    if problems:
        return JointArrays((), np.empty(0, np.int64), np.empty(0, np.int64))
    spoken = {uses[member.name].group for member in picked if member.declared.init is not None}
    by_name = {group.name: group for group in groups}
    shown_groups = {
        int(tie): _sign_default(by_name[ties[tie]], signs.get(ties[tie], 0), ties[tie] in spoken)
        for tie in alike.shown
    }
    return _gather(shown_groups, alike, ties, prefix)


@dataclass(frozen=True, slots=True, eq=False)
class _AlikeTies:
    """Ties that have members of the same families are alike: `like` is, for every tie, the first such one, -1 where it
    is not used; `start` what a tie starts from, NaN where its members say no number. `shown` are the ties to be folded:
    the first of those that are alike, and some whose members start differently."""

    like: Array
    start: Array
    shown: Array


def _compare_ties(families: Sequence[Family], count: int) -> _AlikeTies:
    code, used = np.zeros(count, np.uint64), np.zeros(count, bool)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    for number, family in enumerate(families):
        if not family.tied:
            continue
        init = family.first.declared.init
        drawn = init is not None and not isinstance(init, FrozenArray)
        # A distribution depends on the scale, and a default of a sign on that of the scale.
        scale = family.scale if drawn else np.sign(family.scale) if family.sign else np.zeros(len(family.tie))
        tie, scale = _list_pairs(family.tie, scale)
        np.add.at(code, tie, _scramble(scale.view(np.uint64) ^ np.full(len(tie), number + 1, np.uint64)))
        used[tie] = True
        if init is not None and not drawn:
            start = family.init / family.scale
            np.minimum.at(low, family.tie, start)
            np.maximum.at(high, family.tie, start)
    said = np.isfinite(low)
    start = np.where(said, low, np.nan)
    differing = np.flatnonzero(said & (high - low > SAME * np.maximum(np.abs(low), np.abs(high))))
    found = np.flatnonzero(used)
    _, firsts, inverse = np.unique(code[found], return_index=True, return_inverse=True)
    like = np.full(count, -1)
    like[found] = found[firsts][inverse]
    return _AlikeTies(like, start, np.union1d(found[firsts], differing[:MOST_SHOWN]))


def _list_pairs(one: Array, other: Array) -> tuple[Array, Array]:
    """The distinct pairs of two columns."""
    order = np.lexsort([other, one])
    one, other = one[order], other[order]
    changes = np.ones(len(one), bool)
    changes[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
    return one[changes], other[changes]


def _scramble(keys: Array) -> Array:
    """Numbers whose sums tell sets of keys apart (splitmix64)."""
    mixed = keys * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _demand_sign(family: Family, index: int) -> int:
    """The sign that a weight asks of the number of its group."""
    return SIGNS[family.sign] * (1 if family.scale[index] > 0 else -1) if family.sign is not None else 0


def _pick_members(family: Family, ties: Sequence[str]) -> Iterator[DeclaredParameter]:
    """The first member of every group, and of every group the first that starts otherwise."""
    if not family.tied:
        yield family.first
        return
    _, firsts, inverse = np.unique(family.tie, return_index=True, return_inverse=True)
    picked = list(firsts)
    init = family.first.declared.init
    if init is not None and not isinstance(init, FrozenArray):
        picked = list(np.unique(np.stack([inverse, family.scale]), axis=1, return_index=True)[1])
    elif init is not None:
        start = family.init / family.scale
        expected = start[firsts][inverse]
        differing = np.flatnonzero(np.abs(start - expected) > SAME * np.abs(expected))
        picked += list(differing[np.unique(inverse[differing], return_index=True)[1]])
    for index in picked:
        yield family.member(int(index), ties)


def _sign_default(group: Group, sign: int, spoken: bool) -> Group:
    """A number that nobody declared starts with the sign it has to have."""
    if spoken or not isinstance(group.init, FrozenArray):
        return group
    return replace(group, init=FrozenArray(take_signs(group.init.values, np.array(sign))))


def _gather(groups: Mapping[int, Group], alike: _AlikeTies, ties: Sequence[str], prefix: str) -> JointArrays:
    """Groups that differ in no more than their number, side by side."""
    kinds: dict[Any, list[int]] = {}
    for first in np.unique(alike.like[alike.like >= 0]).tolist():
        group = groups[first]
        init = None if isinstance(group.init, FrozenArray) else group.init
        kinds.setdefault((group.shape, group.trainable, group.combine, group.penalty, init), []).append(first)
    number, position = np.full(len(ties), -1), np.full(len(ties), -1)
    arrays: list[Joint] = []
    for (shape, trainable, combine, penalty, init), firsts in kinds.items():
        members = np.flatnonzero(np.isin(alike.like, firsts))
        number[members], position[members] = len(arrays), np.arange(len(members))
        keys = np.array([hash_name(ties[tie]) for tie in members.tolist()], np.uint64)
        start = (
            draw_each(init, keys) if init is not None else FrozenArray(_list_starts(groups, alike, members))
        )
        arrays.append(Joint(f"{prefix}{len(arrays)}", start, trainable, combine, penalty, keys, shape))
    return JointArrays(tuple(arrays), number, position)


def _list_starts(groups: Mapping[int, Group], alike: _AlikeTies, members: Array) -> Array:
    """What these ties start from: their own number, or that of the first one that is like them."""
    firsts, inverse = np.unique(alike.like[members], return_inverse=True)
    common = [
        float(np.ravel(init.values)[0])
        for f in firsts
        if isinstance(init := groups[int(f)].init, FrozenArray)
    ]
    return np.where(np.isnan(alike.start[members]), np.array(common)[inverse], alike.start[members])


def draw_each(init: Init, keys: npt.NDArray[np.uint64]) -> Init:
    """A distribution of which every number is drawn by itself."""
    return Draws(init, keys) if isinstance(init, Initializer) else init
