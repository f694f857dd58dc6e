"""Single edges -> blocks: all edges of one family between two populations are one connection, dense or sparse."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.sparse import Places
from graphbptt.ir.indices import Pattern
from graphbptt.ir.initializers import take_signs
from graphbptt.ir.parameters import FrozenArray, hash_name
from graphbptt.ir.signs import SIGNS
from graphbptt.passes.coalesce.classes import Classes, declare_tie
from graphbptt.passes.coalesce.families import EdgeFamilies
from graphbptt.passes.coalesce.survey import Survey
from graphbptt.passes.coalesce.ties import Family, JointArrays, draw_each

__all__ = ["Block", "find_blocks"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A connection of the coalesced graph: its ends, its attributes, and, where its weights are called by the names of
    edges, their keys and the shape of each. Between nodes that are populations it is an edge, with the edge's `key`."""

    source: str
    target: str
    key: Hashable | None
    attributes: dict[str, Any]
    keys: npt.NDArray[np.uint64] | None = None
    shape: tuple[int, ...] = ()


def find_blocks(
    survey: Survey, families: EdgeFamilies, joint: JointArrays, classes: Classes
) -> Iterator[Block]:
    """The blocks of all single edges but those between nodes that stay by themselves."""
    edges = survey.edges
    chosen = np.flatnonzero(survey.single & ~(survey.alone[edges.source] & survey.alone[edges.target]))
    source, target = classes.population[edges.source[chosen]], classes.population[edges.target[chosen]]
    rows, columns = classes.unit[edges.source[chosen]], classes.unit[edges.target[chosen]]
    array = np.append(joint.number, -1)[edges.tie[chosen]]
    keys = [array, families.number[chosen], edges.kind[chosen], target, source]
    order = np.lexsort([columns, rows, *keys])
    # Edges beside each other, between the same two units, come into several blocks.
    repeat = np.empty(len(order), np.int64)
    repeat[order] = _count_repeats([key[order] for key in (rows, columns, *keys)])
    if repeat.any():
        order = np.lexsort([columns, rows, repeat, *keys])
    keys.append(repeat)
    sorted_keys = [key[order] for key in keys]
    begins = [*np.flatnonzero(_changes(sorted_keys)), len(order)]
    for begin, end in itertools.pairwise(begins):
        picked = order[begin:end]
        yield _declare_block(survey, families, joint, classes, chosen[picked], rows[picked], columns[picked])


def _changes(keys: list[Array]) -> Array:
    """Where the row of keys differs from the one before, and at the first."""
    changes = np.zeros(len(keys[0]), bool)
    changes[:1] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return changes


def _count_repeats(keys: list[Array]) -> Array:
    """For sorted rows of keys, how many equal ones stand before each."""
    begins = _changes(keys)
    index = np.arange(len(begins))
    return index - np.maximum.accumulate(np.where(begins, index, 0))


def _declare_block(
    survey: Survey,
    families: EdgeFamilies,
    joint: JointArrays,
    classes: Classes,
    edges: Array,
    rows: Array,
    columns: Array,
) -> Block:
    table = survey.edges
    ends = classes.population[table.source[edges[0]]], classes.population[table.target[edges[0]]]
    height, width = (len(classes.members[end]) for end in ends)
    source, target = (classes.names[end] for end in ends)
    attributes: dict[str, Any] = {
        key: value
        for key, value in table.attributes[table.kind[edges[0]]].items()
        if key in ("delay", "sign", "penalty")
    }
    number = families.number[edges[0]]
    plain = height == width == 1
    ends_and_key = source, target, table.key(int(edges[0])) if plain else None
    if number < 0 and plain:
        return Block(*ends_and_key, {**attributes, "weight": "wire"})
    full = len(edges) == height * width
    shape: tuple[int, ...] = (height, width) if full else (len(edges),)
    places = Places(Pattern(rows, columns))
    attributes["weight"] = "dense" if full else {"sparse": {"edges": places}}
    if number < 0:  # wires are weights of 1 that are not trained
        return Block(*ends_and_key, {**attributes, "init": 1.0, "trainable": False})
    family = families.families[number]
    if plain:
        shape = family.first.shape
        attributes["weight"] = survey.connection[table.kind[edges[0]]].kind
    members = families.column[edges]
    if family.tied:
        return Block(*ends_and_key, {**attributes, **declare_tie(family, members, joint, shape)})
    keys = np.array([hash_name(family.name(int(edge))) for edge in edges], np.uint64)
    attributes["trainable"] = family.first.declared.trainable
    attributes["init"] = _start(family, members, keys, shape)
    return Block(*ends_and_key, attributes, keys, family.first.shape)


def _start(family: Family, members: Array, keys: npt.NDArray[np.uint64], shape: tuple[int, ...]) -> Any:
    """What the weights of a block start from."""
    init = family.first.declared.init
    if isinstance(init, FrozenArray):
        return family.init[members].reshape(shape)
    default = family.first.default if init is None else init
    if isinstance(default, FrozenArray):
        sign = 0 if family.sign is None else SIGNS[family.sign]
        return float(take_signs(default.values, np.array(sign)))
    return default if default is None else draw_each(default, keys.reshape(shape))
