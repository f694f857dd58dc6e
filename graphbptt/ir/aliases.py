"""The user's own names of what the compiler has put together.

    aliases := Aliases(names, places, shapes, entries, groups)
    place   := (population, unit)
    entry   := EntryNames(group, keys, shape)

A graph of many single units is compiled as a few populations, and the weights of its edges as a few arrays. Nothing
but this table knows of it afterwards. There is a place for every node; a parameter's name is looked up, not stored:
names of edges are kept as the hashes from which their starting values are drawn, since there may be millions.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.parameters import hash_name

__all__ = ["Aliases", "EntryNames"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class EntryNames:
    """Every number of a group is a parameter of its own, of this shape, whose name has the key at the same position."""

    group: str
    keys: npt.NDArray[np.uint64]
    shape: Shape

    def find(self, key: int) -> int | None:
        """The position of a name."""
        found = np.flatnonzero(self.keys == np.uint64(key))
        return int(found[0]) if found.size else None


@dataclass(frozen=True)
class Aliases:
    """Where to find nodes and parameters by the names that the user gave them.

    Attributes
    ----------
    names : mapping
        The name of every node object of the user's graph, in the order of the graph.
    places : mapping
        For the nodes that are a unit of a population, by name: the population and the unit. Others are populations.
    shapes : mapping
        The shapes of those parameters of nodes that have not one axis, by the parameter's name in the population.
    entries : sequence of EntryNames
    groups : mapping
        The groups that only have another name.
    """

    names: Mapping[Hashable, str]
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    entries: Sequence[EntryNames] = ()
    groups: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _members(self) -> dict[str, list[str]]:
        """The names of the units of every population that was put together."""
        members: dict[str, list[str]] = {}
        for name, (population, _) in self.places.items():
            members.setdefault(population, []).append(name)
        return members

    def place(self, name: str) -> tuple[str, slice]:
        """The population of a node and its units there."""
        if name not in self.places:
            return name, slice(None)
        population, unit = self.places[name]
        return population, slice(unit, unit + 1)

    def name_unit(self, population: str, unit: int) -> str:
        """The name of the node that is a unit of a population."""
        return self._members[population][unit] if population in self._members else population

    def name_units(self, population: str, units: Sequence[int] | None = None) -> str:
        """The nodes that are some units of a population, the first of them by name."""
        members = self._members.get(population)
        if members is None:
            return population
        chosen = members if units is None else [members[unit] for unit in units]
        shown = ", ".join(chosen[:3])
        return shown if len(chosen) <= 3 else f"{shown}, ... ({len(chosen)} nodes)"

    def name_item(self, item: Clamp | Target) -> str:
        """The nodes of a clamp or a target."""
        return self.name_units(item.node, item.units)

    def name_unit_parameter(self, group: str, unit: int) -> str | None:
        """The name of what a number of a group of nodes' parameters is to its node; None for other groups."""
        population, _, key = group.rpartition(".")
        return f"{self._members[population][unit]}.{key}" if population in self._members else None

    def list_populations(self) -> Iterator[str]:
        """A line for each population that was put together, with the first of its nodes."""
        for population in self._members:
            yield f"{population}: {self.name_units(population)}"

    def explain(self, text: str) -> str:
        """What the populations are that a message speaks of; empty where it speaks of none that was put together."""
        spoken = [population for population in self._members if population in text]
        return "; ".join(f"{population} is {self.name_units(population)}" for population in spoken)

    def view(self, layout: ParameterLayout, vector: Array, name: str) -> Array | None:
        """The parameter of this name as a view into a vector, or into its free part; None where it is not there."""
        group = self.groups.get(name, name)
        if group in layout.slot:
            whole = _view_group(layout, vector, group)
            return whole.reshape(self.shapes[name]) if whole is not None and name in self.shapes else whole
        node, _, key = name.rpartition(".")
        if node in self.places:
            population, unit = self.places[node]
            group = f"{population}.{key}"
            whole = _view_group(layout, vector, group)
            part = None if whole is None else whole[..., unit : unit + 1]
            return part.reshape(self.shapes[group]) if part is not None and group in self.shapes else part
        hashed = hash_name(name)
        for names in self.entries:
            if (position := names.find(hashed)) is not None:
                whole = _view_group(layout, vector, names.group)
                return None if whole is None else whole.ravel()[position : position + 1].reshape(names.shape)
        return None


def _view_group(layout: ParameterLayout, vector: Array, group: str) -> Array | None:
    slot = layout.slot.get(group)
    return None if slot is None or slot.stop > len(vector) else layout.view(vector, group)
