"""Signs of connections -> signs of the numbers of their groups, and starting values that have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from graphbptt.errors import Problem
from graphbptt.ir.folded import Connection, FoldedNetwork
from graphbptt.ir.initializers import DISTRIBUTIONS, take_signs
from graphbptt.ir.parameters import FrozenArray, Group, Use
from graphbptt.ir.signs import SIGNS, Demand, demand_sign
from graphbptt.passes.fold_ties import DeclaredParameter

__all__ = ["fold_signs"]


def fold_signs(
    network: FoldedNetwork, parameters: Sequence[DeclaredParameter], problems: list[Problem]
) -> FoldedNetwork:
    """The network with the signs of its groups; contradictions, and values of the wrong sign, are problems."""
    signed: dict[str, list[tuple[Connection, Use]]] = {}
    for connection in network.connections:
        use = connection.weight
        if connection.sign is not None and use is not None and use.group in network.group:
            signed.setdefault(use.group, []).append((connection, use))
    if not signed:
        return network
    said = {parameter.name: parameter for parameter in parameters}
    spoken = {
        use.group for name, use in network.uses() if name in said and said[name].declared.init is not None
    }
    groups = []
    for group in network.groups:
        members = signed.get(group.name, [])
        if members:
            group = _sign_group(group, members, group.name in spoken, said, problems)
        groups.append(group)
    return replace(network, groups=tuple(groups))


def _sign_group(
    group: Group,
    members: Sequence[tuple[Connection, Use]],
    spoken: bool,
    said: Mapping[str, DeclaredParameter],
    problems: list[Problem],
) -> Group:
    demands = [(connection, _demand(connection, use, group.size)) for connection, use in members]
    if clash := _find_clash(demands):
        one, other = clash
        what = f"{one.name} is {one.sign} and {other.name} {other.sign}, but they share numbers of group {group.name!r}"
        if one is other:
            what = f"a number of group {group.name!r} is read with factors of both signs, but {one.name} is {one.sign}"
        remedy = "give one of them a scale of the other sign, or another group"
        problems.append(Problem(f"{said[other.name].path}.tie", what, remedy))
        return group
    together = demands[0][1]
    for _, demand in demands[1:]:
        together |= demand
    signs = together.signs(group.shape)
    init = group.init
    if isinstance(init, FrozenArray) and not spoken:
        # A default is of no sign; where it is one number for all it stays one.
        init = FrozenArray(take_signs(init.values, signs.values))
    group = replace(group, init=init, signs=signs)
    problems += _check_starts(group, members, said)
    return group


def _demand(connection: Connection, use: Use, size: int) -> Demand:
    if connection.sign is None:
        raise AssertionError("only signed connections ask for one")
    return demand_sign(use, connection.sign, size)


def _find_clash(demands: Sequence[tuple[Connection, Demand]]) -> tuple[Connection, Connection] | None:
    """The first two connections that ask for contrary signs of a number, or one that contradicts itself."""
    together = demands[0][1]
    for other, demand in demands:
        together |= demand
        if together.contradicts:
            return next((one, other) for one, earlier in demands if (earlier | demand).contradicts)
    return None


def _check_starts(
    group: Group, members: Iterable[tuple[Connection, Use]], said: Mapping[str, DeclaredParameter]
) -> list[Problem]:
    """A problem for every member whose starting values do not have its sign, or come from a distribution that has
    none."""
    problems = []
    for connection, use in members:
        declared = said[connection.name]
        path = f"{declared.path}.init" if declared.declared.init is not None else declared.path
        if not isinstance(group.init, FrozenArray):
            if not DISTRIBUTIONS[group.init.name].keeps_sign:
                what = (
                    f"{group.init.name} weights have both signs, but {connection.name} is {connection.sign}"
                )
                problems.append(Problem(path, what, "write another distribution, such as glorot or balanced"))
            continue
        sign = 0 if connection.sign is None else SIGNS[connection.sign]
        values = np.broadcast_to(group.init.values, group.shape)
        copy = use.scale * (values if use.index is None else use.index.read(values))
        wrong = copy[copy * sign < 0]
        if wrong.size:
            what = f"it starts at {wrong[0]:g}, but {connection.name} is {connection.sign}"
            bound = "at least" if sign > 0 else "at most"
            problems.append(Problem(path, what, f"write numbers of {bound} 0, or draw them"))
    return problems
