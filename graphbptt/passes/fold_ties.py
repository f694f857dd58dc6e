"""Ties -> weight-sharing groups.

A tie says that a parameter is ``scale`` times another one, or times a group, transposed if so declared. Ties
may form chains; the parameter or the free name at a chain's end is the group, and every member a use of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from graphbptt.declaration.network_schema import Parameter, Tie
from graphbptt.errors import Problem, did_you_mean
from graphbptt.ir.initializers import DISTRIBUTIONS
from graphbptt.ir.parameters import Combine, FrozenArray, Group, Initializer, Use

__all__ = ["DeclaredParameter", "fold_ties"]

Init = Initializer | FrozenArray
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class DeclaredParameter:
    """A parameter before ties: its name (``x->h``, ``h.bias``), the path to report it under, its shape.

    `default` is the init where none is declared; None where one has to be.
    """

    name: str
    path: str
    shape: tuple[int, ...]
    declared: Parameter
    default: Init | None


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter of a group and how it follows from it."""

    parameter: DeclaredParameter
    use: Use

    @property
    def group_shape(self) -> tuple[int, ...]:
        return self.parameter.shape[::-1] if self.use.transpose else self.parameter.shape

    def __str__(self) -> str:
        return f"{self.parameter.name} = {self.use} of shape {self.parameter.shape}"


def fold_ties(
    parameters: Sequence[DeclaredParameter], problems: list[Problem]
) -> tuple[tuple[Group, ...], dict[str, Use]]:
    """The groups, ordered by name, and the use that each parameter makes of its group."""
    ties = {p.name: p.declared.tie for p in parameters if p.declared.tie is not None}
    by_name: dict[str, DeclaredParameter] = {}
    for parameter in parameters:
        if by_name.setdefault(parameter.name, parameter) is not parameter:
            what = f"another parameter is called {parameter.name} too"
            problems.append(Problem(parameter.path, what, "rename the node"))
    _check_names(by_name, ties, problems)
    _open_cycles(by_name, ties, problems)
    uses = _follow_chains(by_name, ties)
    members: dict[str, list[Member]] = {}
    for parameter in parameters:
        use = uses[parameter.name]
        members.setdefault(use.group, []).append(Member(parameter, use))
    groups = (_form_group(name, members[name], problems) for name in sorted(members))
    return tuple(group for group in groups if group is not None), uses


def _check_names(
    by_name: Mapping[str, DeclaredParameter], ties: Mapping[str, Tie], problems: list[Problem]
) -> None:
    """A tie to something that reads like a parameter's name must name one."""
    for name, tie in ties.items():
        if tie.group not in by_name and ("->" in tie.group or "." in tie.group):
            what = f"there is no parameter {tie.group!r} to tie it to"
            remedy = f"{did_you_mean(tie.group, list(by_name))} A free name has neither '->' nor '.'"
            problems.append(Problem(f"{by_name[name].path}.tie", what, remedy))


def _open_cycles(
    by_name: Mapping[str, DeclaredParameter], ties: dict[str, Tie], problems: list[Problem]
) -> None:
    """Take one tie out of every closed chain, and report the chains that contradict themselves."""
    done: set[str] = set()
    for start in sorted(ties):
        chain: list[str] = []
        on_chain: set[str] = set()
        name = start
        while name in ties and name not in done and name not in on_chain:
            chain.append(name)
            on_chain.add(name)
            name = ties[name].group
        done |= on_chain
        if name in on_chain:
            cycle = chain[chain.index(name) :]
            _check_cycle(cycle, by_name, ties, problems)
            del ties[min(cycle)]


def _check_cycle(
    cycle: Sequence[str],
    by_name: Mapping[str, DeclaredParameter],
    ties: Mapping[str, Tie],
    problems: list[Problem],
) -> None:
    scale = math.prod(ties[name].scale for name in cycle)
    transpose = sum(ties[name].transpose for name in cycle) % 2 == 1
    if transpose or not math.isclose(scale, 1, rel_tol=1e-12):
        chain = ", ".join(
            f"{name} = {Use(ties[name].group, ties[name].scale, ties[name].transpose)}" for name in cycle
        )
        closed = f"{cycle[0]} = {Use(cycle[0], scale, transpose)}"
        what = f"contradictory ties: {chain}" + (f", so that {closed}" if len(cycle) > 1 else "")
        problems.append(
            Problem(f"{by_name[cycle[0]].path}.tie", what, "remove one of these ties, or mend its scale")
        )


def _follow_chains(names: Iterable[str], ties: Mapping[str, Tie]) -> dict[str, Use]:
    """What every parameter is in terms of the end of its chain of ties."""
    uses: dict[str, Use] = {}
    for name in names:
        chain: list[str] = []
        while name in ties and name not in uses:
            chain.append(name)
            name = ties[name].group
        use = uses.setdefault(name, Use(name))
        for member in reversed(chain):
            tie = ties[member]
            use = Use(use.group, tie.scale * use.scale, tie.transpose != use.transpose)
            uses[member] = use
    return uses


def _form_group(name: str, members: Sequence[Member], problems: list[Problem]) -> Group | None:
    """The group of these members, if they agree."""
    before = len(problems)
    for member in members:
        path = f"{member.parameter.path}.tie"
        if member.use.transpose and len(member.parameter.shape) != 2:
            what = f"a parameter of shape {member.parameter.shape} has no transpose"
            problems.append(Problem(path, what, "leave transpose out"))
        if member.use.scale == 0 or not math.isfinite(member.use.scale):
            what = f"the scales of this chain of ties multiply to {member.use.scale:g}"
            problems.append(Problem(path, what, "write scales of ordinary size"))
    if len({member.group_shape for member in members}) > 1:
        what = f"group {name!r} ties different shapes: {'; '.join(map(str, members))}"
        problems.append(Problem(f"{members[0].parameter.path}.tie", what, "tie parameters of one shape"))
    if len(problems) > before:
        return None
    trainable = _agree(name, "trainable", [(m, m.parameter.declared.trainable) for m in members], problems)
    combine: Combine | None = _agree(
        name,
        "combine",
        [(m, tie.combine) for m in members if (tie := m.parameter.declared.tie) is not None],
        problems,
    )
    init = _agree_on_init(name, members, problems)
    if len(problems) > before or init is None:
        return None
    return Group(name, members[0].group_shape, init, trainable is not False, combine or "sum")


def _agree(
    group: str, key: str, said: Sequence[tuple[Member, Value | None]], problems: list[Problem]
) -> Value | None:
    """What the members that say something say; it is a problem if they differ."""
    spoken = [(member, value) for member, value in said if value is not None]
    if any(value != spoken[0][1] for _, value in spoken):
        voices = ", ".join(f"{member.parameter.name} says {value}" for member, value in spoken)
        what = f"the members of group {group!r} differ in {key}: {voices}"
        problems.append(
            Problem(f"{spoken[0][0].parameter.path}.tie", what, f"write the same {key}, or write it once")
        )
    return spoken[0][1] if spoken else None


def _agree_on_init(group: str, members: Sequence[Member], problems: list[Problem]) -> Init | None:
    """The group's init: that of the members which declare one, else the default of their kind."""
    spoken: list[tuple[Member, Init]] = []
    for member in members:
        init = member.parameter.declared.init
        if init is not None and _fits(member, init, problems):
            spoken.append((member, _invert(member.use, init)))
    if spoken:
        if not all(_same(spoken[0][1], init) for _, init in spoken):
            names = ", ".join(member.parameter.name for member, _ in spoken)
            what = f"the members of group {group!r} start differently: {names}"
            problems.append(
                Problem(f"{spoken[0][0].parameter.path}.init", what, "keep the init of one of them")
            )
        return spoken[0][1]
    path = f"{members[0].parameter.path}.init"
    defaults = {member.parameter.default for member in members}
    if len(defaults) == 1:
        (default,) = defaults
        if default is None:
            problems.append(Problem(path, "a learned coefficient has no starting value", "write {init: ...}"))
        return default
    names = ", ".join(member.parameter.name for member in members)
    what = f"the members of group {group!r} start differently by default: {names}"
    problems.append(Problem(path, what, "write init at one of them"))
    return None


def _fits(member: Member, init: Init, problems: list[Problem]) -> bool:
    """Whether starting values have the parameter's shape; a number fits all, a row all initial rows."""
    if isinstance(init, Initializer):
        return True
    shape, wanted = init.values.shape, member.parameter.shape
    if shape in ((), wanted) or (member.parameter.name.endswith(".initial") and shape == wanted[1:]):
        return True
    what = f"starting values of shape {shape} for a parameter of shape {wanted}"
    problems.append(
        Problem(f"{member.parameter.path}.init", what, "write one number, or values of that shape")
    )
    return False


def _invert(use: Use, init: Init) -> Init:
    """The group's init that gives a member this one."""
    if isinstance(init, FrozenArray):
        return FrozenArray((init.values.T if use.transpose else init.values) / use.scale)
    numbers = DISTRIBUTIONS[init.name].scale(dict(init.arguments), 1 / use.scale)
    return Initializer(init.name, tuple(numbers.items()))


def _same(one: Init, other: Init) -> bool:
    if isinstance(one, FrozenArray) and isinstance(other, FrozenArray):
        return np.allclose(one.values, other.values, rtol=1e-12, atol=0)
    return one == other
