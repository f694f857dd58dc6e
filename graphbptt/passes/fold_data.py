"""Inputs and targets: checked against the nodes they name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from graphbptt.declaration.graph import DeclaredGraph, read_attributes
from graphbptt.declaration.network_schema import NodeDeclaration
from graphbptt.declaration.schema import ClampDeclaration, TargetDeclaration
from graphbptt.declaration.values import UnitRange
from graphbptt.errors import Problem, did_you_mean
from graphbptt.ir.expression import Call, Net
from graphbptt.ir.folded import Clamp, FoldedNetwork, Population, Target
from graphbptt.ir.losses import LOSSES

__all__ = ["check_targets", "fold_clamps", "fold_targets", "pick_units"]

Item = TypeVar("Item", Clamp, Target)


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
    for path, clamp, node in _place(clamps, "clamp", declared, problems):
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
    for path, target, node in _place(targets, "target", declared, problems):
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
        rule = LOSSES[target.loss]
        units = population.units if target.units is None else len(target.units)
        if _always_clamped(network, target):
            what = f"its units of {target.node} are clamped to data at every step, so nothing can be learned"
            problems.append(Problem(path, what, "put the target on a node that computes its states"))
        if rule.labels and units == 1:
            what = f"{target.loss} over one unit is always 0"
            problems.append(
                Problem(f"{path}.loss", what, "give it a unit per label, or write binary_cross_entropy")
            )
        bounds = _find_bounds(population)
        if bounds is not None and (bounds[0] < rule.bounds[0] or bounds[1] > rule.bounds[1]):
            what = (
                f"{target.loss} is defined for states from {rule.bounds[0]:g} to {rule.bounds[1]:g},"
                f" those of {population.activation} reach from {bounds[0]:g} to {bounds[1]:g}"
            )
            remedy = f"write activation: logistic at {target.node}, or loss: squared_error here"
            problems.append(Problem(f"{path}.loss", what, remedy))


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


def _always_clamped(network: FoldedNetwork, target: Target) -> bool:
    every = range(network.population[target.node].units)
    clamped: set[int] = set()
    for clamp in network.clamps:
        if clamp.node == target.node and clamp.at == "every" and clamp.mask is None:
            clamped.update(every if clamp.units is None else clamp.units)
    return clamped.issuperset(every if target.units is None else target.units)


def _find_bounds(population: Population) -> tuple[float, float] | None:
    """The range of the states, where the activation is one function of the net input."""
    match population.activation:
        case Net():
            return (-float("inf"), float("inf"))
        case Call(function=function, arguments=(Net(),)):
            return function.bounds
    return None
