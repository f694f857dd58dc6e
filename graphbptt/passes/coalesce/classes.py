"""Like nodes -> classes, each a population of the coalesced graph.

Nodes are alike that are of one variety, have one rank and the same clamps but for their fields, and whose tied
parameters are in the same joint arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.network_schema import NodeDeclaration
from graphbptt.ir.data import Clamp
from graphbptt.ir.expression import Expression, State, leaves, substitute
from graphbptt.ir.parameters import FrozenArray, hash_name
from graphbptt.passes.coalesce.families import NodeFamilies
from graphbptt.passes.coalesce.survey import Survey
from graphbptt.passes.coalesce.ties import Family, JointArrays, draw_each

__all__ = ["Classes", "choose_prefix", "declare_class", "declare_tie", "sort_nodes"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The populations: `members` are their nodes by position, in the order of the graph; `population` and `unit` say
    where a node is. A node that stays by itself, or that no other is like, is a population under its own name."""

    names: tuple[str, ...]
    members: tuple[Array, ...]
    population: Array
    unit: Array


def sort_nodes(
    survey: Survey, families: NodeFamilies, joint: JointArrays, clamps: Iterable[Clamp]
) -> Classes:
    """Every node in its class."""
    nodes = survey.nodes
    pattern: dict[str, set[Any]] = {}
    for clamp in clamps:
        pattern.setdefault(clamp.node, set()).add((clamp.at, clamp.mask is None))
    classes: dict[Any, list[int]] = {}
    for index, name in enumerate(nodes.names):
        key: Any = index
        if not survey.alone[index]:
            variety = int(families.variety[index])
            arrays = tuple(
                int(joint.number[family.tie[families.column[index]]])
                for family in families.families[variety].values()
                if family.tied
            )
            key = (variety, int(survey.rank[index]), frozenset(pattern.get(name, ())), arrays)
        classes.setdefault(key, []).append(index)
    population, unit = np.empty(len(nodes.names), np.int64), np.empty(len(nodes.names), np.int64)
    members = tuple(np.array(found) for found in classes.values())
    for number, found in enumerate(members):
        population[found], unit[found] = number, np.arange(len(found))
    return Classes(_name_classes(nodes.names, members), members, population, unit)


def _name_classes(names: Sequence[str], members: Iterable[Array]) -> tuple[str, ...]:
    prefix = choose_prefix("units", names)
    named: list[str] = []
    count = 0
    for found in members:
        if len(found) == 1:
            named.append(names[found[0]])
        else:
            named.append(f"{prefix}{count}")
            count += 1
    return tuple(named)


def choose_prefix(prefix: str, names: Iterable[str]) -> str:
    """The prefix of numbered names that are not among these."""
    taken = {name.rstrip("0123456789") for name in names}
    while prefix in taken:
        prefix += "_"
    return prefix


def declare_class(
    survey: Survey, families: NodeFamilies, joint: JointArrays, members: Array, name: str
) -> dict[str, Any]:
    """The attributes of a population of these nodes."""
    first = int(members[0])
    node = survey.node[survey.nodes.kind[first]]
    attributes: dict[str, Any] = {
        key: value
        for key, value in survey.nodes.attributes[first].items()
        if key in NodeDeclaration.model_fields
    }
    own = families.families[families.variety[first]]
    columns = families.column[members]
    attributes["units"] = len(members)
    read = survey.nodes.names[survey.nodes.firsts[survey.nodes.kind[first]]]
    attributes["activation"] = _rename_own_state(node.activation, read, name)
    said: dict[str, Any] = {key: _declare_parameter(family, columns, joint) for key, family in own.items()}
    constants = {"initial": node.initial, **node.coefficients}
    for key, value in constants.items():
        if isinstance(value, FrozenArray):
            said[key] = _list_constants(survey, members, key, value)
    attributes["bias"] = said.get("bias", False)
    attributes["initial"] = said["initial"]
    attributes["coefficients"] = {key: said[key] for key in node.coefficients}
    return attributes


def _rename_own_state(activation: Expression, own: str, name: str) -> Expression:
    states: dict[Expression, Expression] = {
        leaf: State(name, leaf.delay)
        for leaf in leaves(activation)
        if isinstance(leaf, State) and leaf.node == own
    }
    return substitute(activation, states) if states else activation


def _list_constants(survey: Survey, members: Array, key: str, value: FrozenArray) -> list[float]:
    """What a constant is for each of the nodes: as it was said, or else by default."""
    numbers = [survey.nodes.numbers[member].get(key) for member in members]
    default = float(np.ravel(value.values)[0])
    return [default if number is None or np.isnan(number.init) else number.init for number in numbers]


def _declare_parameter(family: Family, columns: Array, joint: JointArrays) -> dict[str, Any]:
    """A parameter with a number for each of some members of a family."""
    said = family.first.declared
    declared: dict[str, Any] = {"trainable": said.trainable, "penalty": said.penalty}
    if family.tied:
        return {**declared, **declare_tie(family, columns, joint, (len(columns),))}
    init = family.first.declared.init or family.first.default
    if isinstance(init, FrozenArray):
        starts = np.where(np.isnan(family.init[columns]), np.ravel(init.values)[0], family.init[columns])
        return {**declared, "init": starts}
    names = [family.name(int(owner)) for owner in family.owners[columns]]
    keys = np.array([hash_name(name) for name in names], np.uint64)
    return {**declared, "init": init if init is None else draw_each(init, keys)}


def declare_tie(family: Family, columns: Array, joint: JointArrays, shape: tuple[int, ...]) -> dict[str, Any]:
    """The tie of some members of a family, which are in one joint array, and the rest of what the array says."""
    tie, scale = family.tie[columns], family.scale[columns]
    array = joint.arrays[joint.number[tie[0]]]
    return {
        "tie": {
            "group": array.name,
            "index": joint.position[tie].reshape(shape),
            "factors": None if (scale == 1).all() else scale.reshape(shape),
            "combine": array.combine,
        },
        "init": array.init,
        "trainable": array.trainable,
        "penalty": None if array.penalty is None else {"l1": array.penalty.l1, "l2": array.penalty.l2},
    }
