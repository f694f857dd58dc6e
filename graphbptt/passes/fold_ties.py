"""Ties -> weight-sharing groups.

A tie says that a parameter is ``scale`` times another one, or times a group, transposed if so declared. Ties
may form chains, and read the other one through an index map; the parameter or the free
name at a chain's end is the group, and every member a use of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from graphbptt.declaration.network_schema import ConnectionDeclaration, Parameter, Tie
from graphbptt.errors import Problem, did_you_mean
from graphbptt.ir.indices import IndexMap
from graphbptt.ir.initializers import DISTRIBUTIONS
from graphbptt.ir.parameters import Combine, Draws, FrozenArray, Group, Init, Initializer, Use
from graphbptt.ir.penalties import Penalty

__all__ = ["DeclaredParameter", "fold_ties"]

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class DeclaredParameter:
    """A parameter before ties: its name (``x->h``, ``h.bias``), the path to report it under, its shape.

    `default` is the init where none is declared; None where one has to be. `fans` are the mean fan-in and fan-out of
    the units that it connects, where it is no matrix and yet connects some.
    """

    name: str
    path: str
    shape: tuple[int, ...]
    declared: Parameter
    default: Init | None
    fans: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter of a group and how it follows from it."""

    parameter: DeclaredParameter
    use: Use

    @property
    def group_shape(self) -> tuple[int, ...] | None:
        """The shape of the group, if the member tells: an index reads from any shape."""
        if self.use.index is not None:
            return None
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
    _check_indices(by_name, ties, problems)
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


def _check_indices(
    by_name: Mapping[str, DeclaredParameter], ties: dict[str, Tie], problems: list[Problem]
) -> None:
    """An index has the shape of its parameter and reads what the other one has; a tie that does not is taken out."""
    for name, tie in list(ties.items()):
        path = f"{by_name[name].path}.tie.index"
        before = len(problems)
        if tie.index is not None and tie.index.shape != by_name[name].shape:
            what = f"an index of shape {tie.index.shape} for a parameter of shape {by_name[name].shape}"
            problems.append(Problem(path, what, "write a position for each entry of the parameter"))
        other = by_name.get(tie.group)
        if tie.index is not None and other is not None:
            size = math.prod(other.shape)
            if tie.index.positions.max() >= size:
                what = f"position {tie.index.positions.max()} of {other.name}, which has {size} numbers"
                problems.append(Problem(path, what, f"write positions up to {size - 1}"))
        if len(problems) > before:
            del ties[name]


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
    through = [name for name in cycle if ties[name].index is not None]
    if through:
        what = f"{cycle[0]} is tied to itself through an index"
        remedy = "give the group a free name, and tie everything that shares it to that name"
        problems.append(Problem(f"{by_name[through[0]].path}.tie", what, remedy))
        return
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


def _follow_chains(by_name: Mapping[str, DeclaredParameter], ties: Mapping[str, Tie]) -> dict[str, Use]:
    """What every parameter is in terms of the end of its chain of ties."""
    uses: dict[str, Use] = {}
    for name in by_name:
        chain: list[str] = []
        while name in ties and name not in uses:
            chain.append(name)
            name = ties[name].group
        use = uses.setdefault(name, Use(name))
        for member in reversed(chain):
            use = _follow_tie(ties[member], use, by_name.get(ties[member].group))
            uses[member] = use
    return uses


def _follow_tie(tie: Tie, use: Use, owner: DeclaredParameter | None) -> Use:
    """What a parameter is in terms of a group, if it is tied to one of which `use` is a copy, that of `owner`."""
    scale, index = tie.scale * use.scale, tie.index_map
    if index is None:
        if use.index is None:
            return Use(use.group, scale, tie.transpose != use.transpose)
        return Use(use.group, scale, index=use.index.transpose() if tie.transpose else use.index)
    if use.transpose and owner is not None:
        index = index.follow(IndexMap(np.arange(math.prod(owner.shape)).reshape(owner.shape[::-1]).T))
    if use.index is not None:
        index = index.follow(use.index)
    return Use(use.group, scale, index=index)


def _form_group(name: str, members: Sequence[Member], problems: list[Problem]) -> Group | None:
    """The group of these members, if they agree."""
    before = len(problems)
    for member in members:
        path = f"{member.parameter.path}.tie"
        tie = member.parameter.declared.tie
        if (member.use.transpose or (tie and tie.transpose)) and len(member.parameter.shape) != 2:
            what = f"a parameter of shape {member.parameter.shape} has no transpose"
            problems.append(Problem(path, what, _replace_transpose(member.parameter)))
        if member.use.scale == 0 or not math.isfinite(member.use.scale):
            what = f"the scales of this chain of ties multiply to {member.use.scale:g}"
            problems.append(Problem(path, what, "write scales of ordinary size"))
    shape = _agree_on_shape(name, members, problems)
    if len(problems) > before or shape is None:
        return None
    trainable = _agree(name, "trainable", [(m, m.parameter.declared.trainable) for m in members], problems)
    combine: Combine | None = _agree(
        name,
        "combine",
        [(m, tie.combine) for m in members if (tie := m.parameter.declared.tie) is not None],
        problems,
    )
    init = _agree_on_init(name, shape, members, problems)
    penalty = _agree_on_penalty(name, members, trainable is not False, problems)
    if len(problems) > before or init is None:
        return None
    fans = _find_fans(members)
    return Group(name, shape, init, trainable is not False, combine or "sum", fans, penalty=penalty)


def _agree_on_penalty(
    group: str, members: Sequence[Member], trainable: bool, problems: list[Problem]
) -> Penalty | None:
    """The penalty on a group, which its members say together: it is taken once, of the group's own numbers."""
    said = [(m, own.penalty) for m in members if (own := m.parameter.declared.penalty) is not None]
    penalty = _agree(group, "penalty", said, problems)
    if penalty and not trainable:
        what = f"{group!r} is not trained, so nothing can make it smaller"
        problems.append(
            Problem(
                f"{said[0][0].parameter.path}.penalty", what, "leave it out, or leave out trainable: false"
            )
        )
    return penalty or None


def _find_fans(members: Sequence[Member]) -> tuple[float, float] | None:
    """The fans of the group's units, those of the first member by name; None where its shape tells them, or there are
    none."""
    for member in sorted(members, key=lambda member: member.parameter.name):
        parameter = member.parameter
        if parameter.fans is not None:
            return parameter.fans
        if len(parameter.shape) == 2 and not parameter.name.endswith(".initial"):
            return None if member.use.index is None else (parameter.shape[0], parameter.shape[1])
    return None


def _replace_transpose(parameter: DeclaredParameter) -> str:
    """What to write in place of a transpose that there is not."""
    if isinstance(parameter.declared, ConnectionDeclaration) and parameter.declared.kind == "sparse":
        return "list the edges reversed, in the order of those it is tied to, and leave transpose out"
    return "leave transpose out"


def _agree_on_shape(group: str, members: Sequence[Member], problems: list[Problem]) -> tuple[int, ...] | None:
    """The shape of a group: that of the members without an index, else as many numbers as the indices read."""
    shapes = {member.group_shape for member in members} - {None}
    path = f"{members[0].parameter.path}.tie"
    if len(shapes) > 1:
        told = [member for member in members if member.group_shape is not None]
        what = f"group {group!r} ties different shapes: {'; '.join(map(str, told))}"
        problems.append(Problem(path, what, "tie parameters of one shape"))
        return None
    indices = [member.use.index for member in members if member.use.index is not None]
    size = max((int(index.positions.max()) + 1 for index in indices), default=0)
    if shapes:
        (shape,) = shapes
        if shape is not None and size > math.prod(shape):
            what = f"position {size - 1} of group {group!r}, which has {math.prod(shape)} numbers"
            problems.append(Problem(path, what, f"write positions up to {math.prod(shape) - 1}"))
        return shape
    read = np.unique(np.concatenate([np.unique(index.positions) for index in indices]))
    read = read[read >= 0]
    if len(read) < size:
        missing = np.flatnonzero(np.diff(read, prepend=-1) > 1)[0]
        what = f"group {group!r} has {size} numbers, of which {size - len(read)} are read by no entry"
        remedy = f"number the positions without gaps: there is no {read[missing] - 1}"
        problems.append(Problem(f"{path}.index", what, remedy))
        return None
    return (size,)


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


def _agree_on_init(
    group: str, shape: tuple[int, ...], members: Sequence[Member], problems: list[Problem]
) -> Init | None:
    """The group's init: that of the members which declare one, else the default of their kind.

    A member with an index declares the init of the group itself.
    """
    spoken: list[tuple[Member, Init]] = []
    for member in members:
        init = member.parameter.declared.init
        if init is not None and _fits(member, init, shape, problems):
            spoken.append((member, _invert(member.use, init)))
    if spoken:
        if not all(_same(spoken[0][1], init) for _, init in spoken):
            names = ", ".join(member.parameter.name for member, _ in spoken)
            what = f"the members of group {group!r} start differently: {names}"
            problems.append(
                Problem(f"{spoken[0][0].parameter.path}.init", what, "keep the init of one of them")
            )
        # They may differ by rounding.
        return min(spoken, key=lambda said: said[0].parameter.name)[1]
    path = f"{members[0].parameter.path}.init"
    plain = [member for member in members if member.use.index is None]
    defaults = {member.parameter.default for member in plain or members}
    if len(defaults) == 1:
        (default,) = defaults
        if default is None:
            problems.append(Problem(path, "a learned coefficient has no starting value", "write {init: ...}"))
        return default
    names = ", ".join(member.parameter.name for member in members)
    what = f"the members of group {group!r} start differently by default: {names}"
    problems.append(Problem(path, what, "write init at one of them"))
    return None


def _fits(member: Member, init: Init, group: tuple[int, ...], problems: list[Problem]) -> bool:
    """Whether starting values have the parameter's shape; a number fits all, a row all initial rows."""
    wanted = member.parameter.shape if member.use.index is None else group
    if isinstance(init, Initializer):
        return _can_draw(member, init, wanted, problems)
    shape = init.keys.shape if isinstance(init, Draws) else init.values.shape
    if shape in ((), wanted) or (member.parameter.name.endswith(".initial") and shape == wanted[1:]):
        return True
    what = f"starting values of shape {shape} for a parameter of shape {wanted}"
    problems.append(
        Problem(f"{member.parameter.path}.init", what, "write one number, or values of that shape")
    )
    return False


def _can_draw(member: Member, init: Initializer, shape: tuple[int, ...], problems: list[Problem]) -> bool:
    """Whether a distribution is one of arrays of this shape."""
    distribution, path = DISTRIBUTIONS[init.name], f"{member.parameter.path}.init"
    misfit = distribution.misfit(shape)
    if misfit is not None:
        remedy = "write another distribution, such as normal or glorot"
        problems.append(Problem(path, f"{init.name} {misfit}", remedy))
        return False
    if distribution.directed and member.use.transpose:
        what = f"{init.name} tells sources from targets, and this parameter is a transpose of its group"
        problems.append(Problem(path, what, "write init at a member of the group that is not transposed"))
        return False
    return True


def _invert(use: Use, init: Init) -> Init:
    """The group's init that gives a member this one; that of a member with an index is the group's own."""
    if use.index is not None:
        return init
    if isinstance(init, FrozenArray):
        return FrozenArray((init.values.T if use.transpose else init.values) / use.scale)
    if isinstance(init, Draws):
        keys = init.keys.T if use.transpose else init.keys
        return Draws(_scale(init.initializer, 1 / use.scale), keys)
    return _scale(init, 1 / use.scale)


def _scale(init: Initializer, factor: float) -> Initializer:
    numbers = DISTRIBUTIONS[init.name].scale(dict(init.arguments), factor)
    return Initializer(init.name, tuple(numbers.items()))


def _same(one: Init, other: Init) -> bool:
    if isinstance(one, FrozenArray) and isinstance(other, FrozenArray):
        return np.allclose(one.values, other.values, rtol=1e-12, atol=0)
    return one == other
