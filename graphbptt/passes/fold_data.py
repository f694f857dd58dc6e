"""Inputs and targets: checked against the nodes they name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from graphbptt.declaration.graph import DeclaredGraph, read_attributes
from graphbptt.declaration.network_schema import NodeDeclaration
from graphbptt.declaration.schema import ClampDeclaration, TargetDeclaration
from graphbptt.declaration.values import UnitRange
from graphbptt.errors import Problem, did_you_mean
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.losses import LOSSES
from graphbptt.ir.ranges import Range, bound_expression

__all__ = ["check_targets", "fold_clamps", "fold_targets", "pick_units"]

Item = TypeVar("Item", Clamp, Target)

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
    """The clamps, each with its node's name and its units in canonical form."""
    folded = []
    for path, clamp, node in _place(_check_kind(clamps, Clamp, problems), "clamp", declared, problems):
        attributes = {"field": clamp.field, "units": clamp.units, "at": clamp.at, "mask": clamp.mask}
        read = read_attributes(ClampDeclaration, attributes, path, problems)
        if read is not None:
            units = pick_units(read.units, node.units, f"{path}.units", problems)
            folded.append(Clamp(str(clamp.node), read.field, units, read.at, read.mask))
    return tuple(folded)


def fold_targets(
    targets: Sequence[Target], declared: DeclaredGraph, problems: list[Problem]
) -> dict[str, Target]:
    """The targets by path, each with its node's name and its units in canonical form."""
    folded: dict[str, Target] = {}
    for path, target, node in _place(_check_kind(targets, Target, problems), "target", declared, problems):
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
            units = pick_units(read.units, node.units, f"{path}.units", problems)
            folded[path] = Target(
                str(target.node), read.field, read.loss, units, read.at, read.mask, read.weight
            )
    return folded


def check_targets(network: FoldedNetwork, targets: Mapping[str, Target], problems: list[Problem]) -> None:
    """A target needs something that can be learned, and states its loss is defined for."""
    for path, target in targets.items():
        population = network.population[target.node]
        rule = LOSSES[target.loss_name]
        wanted = range(population.units) if target.units is None else target.units
        if network.clamped_units(target.node).issuperset(wanted):
            what = f"its units of {target.node} are clamped to data at every step, so nothing can be learned"
            problems.append(Problem(path, what, "put the target on a node that computes its states"))
        if rule.labels and len(wanted) == 1:
            what = f"{target.loss_name} over one unit is always 0"
            problems.append(
                Problem(f"{path}.loss", what, "give it a unit per label, or write binary_cross_entropy")
            )
        states = bound_expression(population.activation)
        if _leaves_bounds(states, rule.bounds):
            what = (
                f"{target.loss_name} is defined for states from {rule.bounds[0]:g} to {rule.bounds[1]:g},"
                f" those of {population.activation} reach from {states.low:g} to {states.high:g}"
            )
            remedy = f"write activation: logistic at {target.node}, or loss: squared_error here"
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
) -> Iterator[tuple[str, Item, NodeDeclaration]]:
    """The items whose node is known, each with its path."""
    names = set(declared.names)
    for path, item in _name(items, noun):
        name = str(item.node)
        if name not in names:
            problems.append(Problem(path, f"unknown node {name!r}", did_you_mean(name, declared.names)))
        elif name in declared.nodes:
            yield path, item, declared.nodes[name]


def _name(items: Sequence[Item], noun: str) -> Iterator[tuple[str, Item]]:
    """Each item with its path: ``clamp x``, or ``clamp x[0]``, ``clamp x[1]`` where several are on a node."""
    total = Counter(str(item.node) for item in items)
    seen: Counter[str] = Counter()
    for item in items:
        node = str(item.node)
        yield f"{noun} {node}" + (f"[{seen[node]}]" if total[node] > 1 else ""), item
        seen[node] += 1


def _leaves_bounds(states: Range, bounds: tuple[float, float]) -> bool:
    """Whether some values surely lie outside; where that cannot be told from the activation, it is allowed."""
    low, high = bounds[0] - ROUNDING, bounds[1] + ROUNDING
    if states.exact:
        return states.low < low or states.high > high
    return states.high < low or states.low > high
