"""Inputs and targets: checked against the nodes they name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from graphbptt.declaration.graph import DeclaredGraph, list_nodes, read_attributes, show_nodes
from graphbptt.declaration.schema import ClampDeclaration, TargetDeclaration
from graphbptt.declaration.values import UnitRange
from graphbptt.errors import Problem, did_you_mean
from graphbptt.ir.data import Clamp, Columns, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.functions import exp, logistic, softplus
from graphbptt.ir.losses import LOSSES
from graphbptt.ir.ranges import Range, bound_expression
from graphbptt.passes.check_clamped_states import find_torn

__all__ = ["check_targets", "clash", "fold_clamps", "fold_targets", "pick_units"]

Item = TypeVar("Item", Clamp, Target)

FITTING = (logistic, softplus, exp)
"""Activations to suggest to a loss, where their bounds are those of the states that it is defined for."""

ROUNDING = 1e-9
"""By how much the end of a computed range may miss a bound."""


def pick_units(
    declared: tuple[int, ...] | UnitRange | None, units: int, path: str, problems: list[Problem]
) -> tuple[int, ...] | None:
    """The indices of a part of a population of `units` units; None where it is all of it, in order."""
    if isinstance(declared, UnitRange):
        declared = declared.list(units)
    if declared is None:
        return None
    if not declared:
        problems.append(Problem(path, "no units are listed", "list at least one"))
    elif max(declared) >= units:
        problems.append(
            Problem(path, f"unit {max(declared)} of {units}", f"write units from 0 to {units - 1}")
        )
    return None if declared == tuple(range(units)) else declared


def fold_clamps(
    clamps: Sequence[Clamp], declared: DeclaredGraph, problems: list[Problem]
) -> tuple[Clamp, ...]:
    """The clamps, each with its node's name and its units in canonical form; one for each of several nodes."""
    folded: list[Clamp] = []
    placed: dict[str, list[tuple[str, Clamp]]] = {}
    for path, clamp, nodes in _place(_check_kind(clamps, Clamp, problems), "clamp", declared, problems):
        attributes = {"field": clamp.field, "units": clamp.units, "at": clamp.at, "mask": clamp.mask}
        read = read_attributes(ClampDeclaration, attributes, path, problems)
        if read is not None:
            for name, units, columns in _divide(clamp, nodes, read.units, declared, path, problems):
                folded.append(Clamp(name, read.field, units, read.at, read.mask, columns))
                placed.setdefault(name, []).append((path, folded[-1]))
    for name, several in placed.items():
        _reject_clashes(several, declared.nodes[name].units, problems)
    return tuple(folded)


def _reject_clashes(several: Sequence[tuple[str, Clamp]], units: int, problems: list[Problem]) -> None:
    """Of the clamps of a node no two set one state; where masks choose, the data say which one does."""
    for number, (path, clamp) in enumerate(several):
        for other, earlier in several[:number]:
            if clash(clamp, earlier, units):
                what = f"it sets states of {clamp.node} that {other} sets too, from field {earlier.field}"
                remedy = "give them different units or steps, or masks, or leave one out"
                problems.append(Problem(path, what, remedy))


def clash(one: Clamp, other: Clamp, units: int) -> bool:
    """Whether two clamps of a node of `units` units set the same states whatever the data."""
    if one.mask is not None or other.mask is not None:
        return False
    if (one.at == "start") != (other.at == "start"):
        return False
    listed = [set(clamp.at) for clamp in (one, other) if isinstance(clamp.at, tuple)]
    if len(listed) == 2 and listed[0].isdisjoint(listed[1]):
        return False
    first, second = (set(range(units) if clamp.units is None else clamp.units) for clamp in (one, other))
    return not first.isdisjoint(second)


def fold_targets(
    targets: Sequence[Target], declared: DeclaredGraph, problems: list[Problem]
) -> list[tuple[str, Target]]:
    """The targets, each with its path, its node's name and its units in canonical form; one for each of several
    nodes."""
    folded: list[tuple[str, Target]] = []
    for path, target, nodes in _place(_check_kind(targets, Target, problems), "target", declared, problems):
        attributes = {
            "field": target.field,
            "loss": target.loss,
            "units": target.units,
            "at": target.at,
            "mask": target.mask,
            "weight": target.weight,
        }
        read = read_attributes(TargetDeclaration, attributes, path, problems)
        if read is not None:
            said = read.at, read.mask, read.weight
            for name, units, columns in _divide(target, nodes, read.units, declared, path, problems):
                folded.append((path, Target(name, read.field, read.loss, units, *said, columns)))
    return folded


def _divide(
    item: Clamp | Target,
    nodes: tuple[str, ...],
    declared_units: tuple[int, ...] | UnitRange | None,
    declared: DeclaredGraph,
    path: str,
    problems: list[Problem],
) -> Iterator[tuple[str, tuple[int, ...] | None, Columns | None]]:
    """The nodes of an item, each with its units and its columns of the field."""
    if nodes == (str(item.node),):
        units = declared.nodes[nodes[0]].units
        yield nodes[0], pick_units(declared_units, units, f"{path}.units", problems), item.columns
        return
    larger = [name for name in nodes if declared.nodes[name].units != 1]
    if larger:
        what = f"{larger[0]} has {declared.nodes[larger[0]].units} units"
        problems.append(Problem(path, what, "list nodes of one unit each, or write an item for each node"))
    if declared_units is not None:
        problems.append(Problem(f"{path}.units", "the nodes have one unit each", "leave units out"))
    for number, name in enumerate(nodes):
        yield name, None, Columns((number,), len(nodes)) if len(nodes) > 1 else None


def check_targets(
    network: FoldedNetwork, targets: Iterable[tuple[str, Target]], problems: list[Problem]
) -> None:
    """A target needs something that can be learned, and states its loss is defined for."""
    for path, target in targets:
        population = network.population[target.node]
        rule = LOSSES[target.loss_name]
        wanted = range(population.units) if target.units is None else target.units
        if network.clamped_units(target.node).issuperset(wanted):
            what = f"its units of {target.node} are clamped to data at every step, so nothing can be learned"
            problems.append(Problem(path, what, "put the target on a node that computes its states"))
        if rule.labels and target.columns is not None and len(wanted) < target.columns.width:
            what = f"{target.loss_name} compares its {target.columns.width} nodes with each other"
            remedy = f"make one node of {target.columns.width} units in their place, or make them alike"
            problems.append(Problem(path, what, remedy))
        elif rule.labels and len(wanted) == 1:
            what = f"{target.loss_name} over one unit is always 0"
            problems.append(
                Problem(f"{path}.loss", what, "give it a unit per label, or write binary_cross_entropy")
            )
        if (torn := find_torn(network, target)) is not None:
            clamp, computed = torn
            what = (
                f"{target.loss_name} compares probabilities of {target.node} that add up to 1; the clamp from field"
                f" {clamp.field} sets some of these units and leaves {computed} to be computed"
            )
            remedy = "clamp all of its units or none, or give the target other units or steps (at, or a mask)"
            problems.append(Problem(path, what, remedy))
        states = bound_expression(population.activation)
        if _leaves_bounds(states, rule.bounds):
            what = (
                f"{target.loss_name} is defined for states from {rule.bounds[0]:g} to {rule.bounds[1]:g},"
                f" those of {population.activation} reach from {states.low:g} to {states.high:g}"
            )
            fitting = " or ".join(function.name for function in FITTING if function.bounds == rule.bounds)
            remedy = f"write activation: {fitting} at {target.node}, or loss: squared_error here"
            problems.append(Problem(f"{path}.loss", what, remedy))


def _check_kind(items: object, kind: type[Item], problems: list[Problem]) -> list[Item]:
    """The items of that kind; what else was given is a problem."""
    argument = {Clamp: "inputs", Target: "targets"}[kind]
    example = f"write {argument}=[graphbptt.{kind.__name__}(node, field)]"
    if isinstance(items, str | Mapping) or not isinstance(items, Iterable):
        problems.append(Problem(argument, f"{items!r} is no list of {kind.__name__}s", example))
        return []
    found = []
    for number, item in enumerate(items):
        if isinstance(item, kind):
            found.append(item)
        else:
            problems.append(Problem(f"{argument}[{number}]", f"{item!r} is no {kind.__name__}", example))
    return found


def _place(
    items: Sequence[Item], noun: str, declared: DeclaredGraph, problems: list[Problem]
) -> Iterator[tuple[str, Item, tuple[str, ...]]]:
    """The items whose nodes are known, each with its path and the names of its nodes."""
    names = set(declared.names)
    for path, item in _name(items, noun, names):
        nodes = list_nodes(item.node, names)
        unknown = [name for name in nodes if name not in names]
        twice = [name for name, count in Counter(nodes).items() if count > 1]
        if not nodes:
            problems.append(Problem(path, "it lists no nodes", "list at least one"))
        elif unknown:
            more = f", and {len(unknown) - 1} more of its nodes" if len(unknown) > 1 else ""
            remedy = did_you_mean(unknown[0], declared.names)
            problems.append(Problem(path, f"unknown node {unknown[0]!r}{more}", remedy))
        elif twice:
            problems.append(Problem(path, f"node {twice[0]} is listed twice", "list it once"))
        elif all(name in declared.nodes for name in nodes):
            yield path, item, nodes


def _name(items: Sequence[Item], noun: str, names: Container[str]) -> Iterator[tuple[str, Item]]:
    """Each item with its path: ``clamp x``, or ``clamp x[0]``, ``clamp x[1]`` where several are on a node."""
    total = Counter(show_nodes(item.node, names) for item in items)
    seen: Counter[str] = Counter()
    for item in items:
        node = show_nodes(item.node, names)
        yield f"{noun} {node}" + (f"[{seen[node]}]" if total[node] > 1 else ""), item
        seen[node] += 1


def _leaves_bounds(states: Range, bounds: tuple[float, float]) -> bool:
    """Whether some values surely lie outside; where that cannot be told from the activation, it is allowed."""
    low, high = bounds[0] - ROUNDING, bounds[1] + ROUNDING
    if states.exact:
        return states.low < low or states.high > high
    return states.high < low or states.low > high
