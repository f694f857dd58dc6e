"""Constraints by which one parameter equals another -> ties, which cost nothing in training.

``A == 2 * B.T`` makes B a copy of A, ``0.5 * A.T``. It stays a constraint where a tie would say something else: between
copies of one group, where both say how they start, where only one is trained, or where their copies combine otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from graphbptt.declaration.constraints import Term, read_equality
from graphbptt.declaration.network_schema import ConnectionDeclaration, Tie
from graphbptt.ir.initializers import DISTRIBUTIONS
from graphbptt.ir.parameters import Initializer
from graphbptt.passes.fold_ties import DeclaredParameter

__all__ = ["tie_equalities"]

Known = Mapping[str, DeclaredParameter]


@dataclass(frozen=True, slots=True)
class _Group:
    """What is tied together: its name, those that are tied to that name or bear it, and all members."""

    name: str
    heads: tuple[DeclaredParameter, ...]
    members: tuple[DeclaredParameter, ...]

    def shape(self, transposed: bool) -> tuple[int, ...]:
        head, tie = self.heads[0], self.heads[0].declared.tie
        turned = transposed != (tie is not None and tie.transpose)
        return head.shape[::-1] if turned else head.shape

    @property
    def starts(self) -> bool:
        """Whether a member says how it starts."""
        return any(member.declared.init is not None for member in self.members)

    @property
    def is_plain(self) -> bool:
        """Whether it is the same under another name: drawn entries lie where the group's name says, an index has a
        shape of its own, and some distributions tell sources from targets."""
        declared = [member.declared for member in self.members]
        inits = [member.declared.init or member.default for member in self.members]
        return not (
            any(isinstance(one, ConnectionDeclaration) and one.kind == "sparse" for one in declared)
            or any(one.tie is not None and one.tie.index is not None for one in declared)
            or any(isinstance(init, Initializer) and DISTRIBUTIONS[init.name].directed for init in inits)
        )

    def agrees(self, other: _Group) -> bool:
        """Whether a group of both would start, be trained and combine as either says."""
        defaults = {member.default for member in (*self.members, *other.members)}
        if self.starts == other.starts and (self.starts or len(defaults) > 1):
            return False
        return self._said == other._said

    @property
    def _said(self) -> tuple[bool, frozenset[str]]:
        ties = [member.declared.tie for member in self.members]
        combine = {tie.combine for tie in ties if tie is not None and tie.combine is not None}
        return any(member.declared.trainable is False for member in self.members), frozenset(
            combine or {"sum"}
        )


def tie_equalities(
    parameters: Sequence[DeclaredParameter], texts: Sequence[str]
) -> tuple[tuple[DeclaredParameter, ...], tuple[str, ...]]:
    """The parameters with a tie for every constraint that is one, and the constraints that are left."""
    if not texts:
        return tuple(parameters), ()
    left: list[str] = []
    known = {parameter.name: parameter for parameter in parameters}
    members = _index_groups(known)
    names = known.keys() | {p.declared.tie.group for p in parameters if p.declared.tie is not None}
    for text in sorted(set(texts)):
        terms = read_equality(text, names)
        tied = None
        if terms is not None and terms[0].name != terms[1].name:
            tied = _tie(known, members, *(_follow(known, term) for term in terms))
        if tied is None:
            left.append(text)
        else:
            known |= {parameter.name: parameter for parameter in tied}
    # Where two bear one name, which is a mistake that is found later, both are as they were.
    given = {parameter.name: parameter for parameter in parameters}
    return tuple(p if known[p.name] is given[p.name] else known[p.name] for p in parameters), tuple(left)


def _follow(known: Known, term: Term) -> Term:
    """The same in terms of the end of a chain of ties; a copy through an index has no factor."""
    name, factor, transpose, seen = term.name, term.factor, term.transpose, set[str]()
    while name in known and name not in seen and (tie := known[name].declared.tie) is not None:
        seen.add(name)
        name, factor, transpose = tie.group, factor * tie.scale, transpose != tie.transpose
        factor = factor if tie.index is None else math.nan
    return Term(name, factor, transpose)


def _index_groups(known: Known) -> dict[str, list[str]]:
    """The names of the members of every group, by the group's name."""
    members: dict[str, list[str]] = {}
    for name in known:
        members.setdefault(_follow(known, Term(name, 1.0, False)).name, []).append(name)
    return members


def _tie(
    known: Known, members: dict[str, list[str]], one: Term, other: Term
) -> list[DeclaredParameter] | None:
    """The heads of one group as copies of the other, none if both are the same; None where they stay as they are.

    Those who are tied move in the index too.
    """
    if one.name == other.name:
        return [] if one == other else None
    if not (_is_factor(one.factor) and _is_factor(other.factor)):
        return None
    kept, copied = (_find_group(known, members, name) for name in (one.name, other.name))
    if not (kept.heads and copied.heads and kept.is_plain and copied.is_plain and kept.agrees(copied)):
        return None
    shape, transpose = kept.shape(one.transpose), one.transpose != other.transpose
    if shape != copied.shape(other.transpose) or (transpose and len(shape) != 2):
        return None
    factor = one.factor / other.factor
    scales = [factor if (tie := head.declared.tie) is None else factor * tie.scale for head in copied.heads]
    if not all(map(_is_factor, scales)):
        return None
    members[kept.name] += members.pop(copied.name)
    return [
        _copy(head, kept.name, scale, transpose) for head, scale in zip(copied.heads, scales, strict=True)
    ]


def _is_factor(number: float) -> bool:
    """Whether it can be a scale: neither 0, as products of small numbers may be, nor too large."""
    return number != 0 and math.isfinite(number)


def _find_group(known: Known, members: Mapping[str, Sequence[str]], name: str) -> _Group:
    every = tuple(known[member] for member in members.get(name, ()))
    if name in known:  # a parameter that bears the name takes those that are tied to it along
        return _Group(name, tuple(p for p in every if p.name == name), every)
    tied = (p for p in every if p.declared.tie is not None and p.declared.tie.group == name)
    return _Group(name, tuple(tied), every)


def _copy(parameter: DeclaredParameter, group: str, scale: float, transpose: bool) -> DeclaredParameter:
    old = parameter.declared.tie
    tie = Tie(
        group=group,
        scale=scale,
        transpose=transpose if old is None else transpose != old.transpose,
        combine=None if old is None else old.combine,
    )
    return replace(parameter, declared=parameter.declared.model_copy(update={"tie": tie}))
