"""Weights that start `balanced` -> the sizes with which excitation and inhibition cancel, unit by unit.

A unit with E excitatory and I inhibitory weights that start so expects as much of either kind. Weights of mean
``m * sqrt(shape)`` and standard deviation m, with ``m = gain / (E * sqrt(1 / E + 1 / I))`` where they excite, do that,
and the variances of all add up to ``gain**2``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import Problem
from graphbptt.ir.folded import Connection, FoldedNetwork
from graphbptt.ir.initializers import DISTRIBUTIONS
from graphbptt.ir.parameters import FrozenArray, Group, Use
from graphbptt.ir.signs import SIGNS
from graphbptt.passes.fold_edges import DrawnEdge

__all__ = ["balance_weights"]

Array = npt.NDArray[Any]
Numbers = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Arrival:
    """A signed connection that starts `balanced`: the target's unit of every column, and how many weights it has."""

    connection: Connection
    use: Use
    sign: int
    units: Array
    counts: Array
    numbers: Numbers


def balance_weights(
    network: FoldedNetwork, drawn: Sequence[DrawnEdge], problems: list[Problem]
) -> FoldedNetwork:
    """The network with the balance of its groups that start `balanced`; those that cannot are problems."""
    balanced = {group.name for group in network.groups if _starts_balanced(group)}
    if not balanced:
        return network
    before = len(problems)
    problems += _find_unsigned(network, balanced)
    listed = {edge.connection.name for edge in drawn if edge.places is not None}
    arrivals = list(_find_arrivals(network, balanced, listed))
    totals = _count_arrivals(network, arrivals)
    problems += _check_partners(arrivals, totals)
    if len(problems) > before:
        return network
    arriving: dict[str, list[_Arrival]] = {name: [] for name in balanced}
    for arrival in arrivals:
        arriving[arrival.use.group].append(arrival)
    groups = [
        _balance_group(group, arriving[group.name], totals, problems) if group.name in balanced else group
        for group in network.groups
    ]
    return replace(network, groups=tuple(groups))


def _starts_balanced(group: Group) -> bool:
    return not isinstance(group.init, FrozenArray) and group.init.name == "balanced"


def _find_unsigned(network: FoldedNetwork, balanced: set[str]) -> Iterator[Problem]:
    signed = {connection.name for connection in network.connections if connection.sign is not None}
    for owner, use in network.uses():
        if use.group in balanced and owner not in signed:
            path = f"edge {owner}" if "->" in owner else f"node {owner}"
            what = "it starts balanced, but nothing says whether it excites or inhibits"
            remedy = "give its source, or the edge, a sign; or write another distribution"
            yield Problem(f"{path}.init", what, remedy)


def _find_arrivals(network: FoldedNetwork, balanced: set[str], listed: set[str]) -> Iterator[_Arrival]:
    for connection in network.connections:
        use = connection.weight
        if use is None or use.group not in balanced or connection.sign is None:
            continue
        target = network.population[connection.target]
        units = np.arange(target.units) if connection.to_units is None else np.array(connection.to_units)
        source = network.population[connection.source]
        rows = source.units if connection.from_units is None else len(connection.from_units)
        counts = _count_weights(connection, rows, len(units), connection.name in listed)
        init = network.group[use.group].init
        if isinstance(init, FrozenArray):
            raise AssertionError("it starts balanced")
        numbers = DISTRIBUTIONS["balanced"].scale(dict(init.arguments), use.scale)
        yield _Arrival(connection, use, SIGNS[connection.sign], units, counts, tuple(numbers.items()))


def _count_weights(connection: Connection, rows: int, columns: int, listed: bool) -> Array:
    """The weights in every column; where their places are drawn, their expected number."""
    pattern = connection.pattern
    if connection.kind == "dense":
        return np.full(columns, float(rows))
    if pattern is None:
        return np.ones(columns)
    if listed:
        return np.bincount(pattern.columns, minlength=columns).astype(np.float64)
    return np.full(columns, pattern.size / columns)


def _count_arrivals(network: FoldedNetwork, arrivals: Sequence[_Arrival]) -> dict[tuple[str, int], Array]:
    """The weights of either sign that arrive at the units of every target."""
    totals = {
        (arrival.connection.target, sign): np.zeros(network.population[arrival.connection.target].units)
        for arrival in arrivals
        for sign in (1, -1)
    }
    for arrival in arrivals:
        totals[arrival.connection.target, arrival.sign][arrival.units] += arrival.counts
    return totals


def _check_partners(
    arrivals: Sequence[_Arrival], totals: Mapping[tuple[str, int], Array]
) -> Iterator[Problem]:
    first: dict[str, _Arrival] = {}
    for arrival in arrivals:
        connection = arrival.connection
        path = f"edge {connection.name}.init"
        other = first.setdefault(connection.target, arrival)
        if not np.allclose([number for _, number in arrival.numbers], [n for _, n in other.numbers]):
            what = (
                f"its gain or its shape differs from that of {other.connection.name}, which it is to balance"
            )
            yield Problem(path, what, f"write the same numbers for all that arrive at {connection.target}")
        opposed = totals[connection.target, -arrival.sign][arrival.units]
        alone = arrival.units[(arrival.counts > 0) & (opposed == 0)]
        if alone.size:
            missing = "inhibitory" if arrival.sign > 0 else "excitatory"
            what = (
                f"no {missing} weight that starts balanced arrives at unit {alone[0]} of {connection.target}"
            )
            yield Problem(path, what, "connect one, or write another distribution")


def _balance_group(
    group: Group,
    arrivals: Sequence[_Arrival],
    totals: Mapping[tuple[str, int], Array],
    problems: list[Problem],
) -> Group:
    if len(arrivals) == 1 and arrivals[0].connection.kind == "dense" and _reads_plainly(arrivals[0].use):
        return replace(group, balance=FrozenArray(_measure_columns(arrivals[0], totals)))
    balance = np.ones(group.size)
    asked = [_ask(arrival, totals, group) for arrival in arrivals]
    for positions, sizes in asked:
        balance[positions] = sizes
    for arrival, (positions, sizes) in zip(arrivals, asked, strict=True):
        if not np.allclose(balance[positions], sizes):
            what = f"group {group.name!r} would have to start at other sizes for other units to be balanced"
            remedy = "give them groups of their own, or write another distribution"
            problems.append(Problem(f"edge {arrival.connection.name}.init", what, remedy))
    same = (balance == balance[0]).all()
    return replace(group, balance=FrozenArray(balance[0] if same else balance.reshape(group.shape)))


def _reads_plainly(use: Use) -> bool:
    return use.index is None and not use.transpose


def _measure_columns(arrival: _Arrival, totals: Mapping[tuple[str, int], Array]) -> Array:
    """The standard deviation of the weights in every column, over the gain."""
    target = arrival.connection.target
    alike, opposed = (totals[target, sign][arrival.units] for sign in (arrival.sign, -arrival.sign))
    with np.errstate(divide="ignore", invalid="ignore"):  # columns without weights
        return 1 / (alike * np.sqrt(1 / alike + 1 / opposed))


def _ask(arrival: _Arrival, totals: Mapping[tuple[str, int], Array], group: Group) -> tuple[Array, Array]:
    """The numbers of the group that a connection reads, and what their balance has to be, both flat."""
    columns = _measure_columns(arrival, totals)
    pattern, use = arrival.connection.pattern, arrival.use
    sizes = columns if pattern is None else columns[pattern.columns]
    if use.index is None:
        positions = np.arange(group.size).reshape(group.shape)
        positions = positions.T if use.transpose else positions
    else:
        positions = use.index.positions
        if use.index.factors is not None:  # no part of the gain, unlike the scale
            sizes = sizes / np.abs(use.index.factors)
    positions, sizes = np.broadcast_arrays(positions, sizes)  # a scalar is the weight of all its units
    return positions[positions >= 0], sizes[positions >= 0]
