"""Numbers under the user's names: the parameters of a model, their derivatives, and the states of a run.

Where the compiler has put nodes together, the arrays of single ones are made when they are asked for.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.errors import DataError, Problem, did_you_mean
from graphbptt.ir.aliases import Aliases
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.parameters import hash_name
from graphbptt.passes.read_arrays import UNREADABLE, describe_foreign

__all__ = ["Gradients", "Parameters", "States", "name_entry"]

Array = npt.NDArray[Any]


class Gradients(Mapping[str, Array]):
    """Arrays by the name of a parameter: views into one flat vector.

    Iteration is over the groups that the vector holds. Where nodes were put together, the parameter of a single edge
    or node, or a tie's, is found by its own name too, as part of a group. A copy has no array of its own; asking for
    it says what it is a copy of.
    """

    def __init__(
        self, layout: ParameterLayout, aliases: Aliases, network: FoldedNetwork, vector: Array
    ) -> None:
        self._layout, self._aliases, self._network, self._vector = layout, aliases, network, vector
        self._groups = [slot.group for slot in layout.slots if slot.stop <= len(vector)]

    def __getitem__(self, name: str) -> Array:
        view = self._aliases.view(self._layout, self._vector, name)
        if view is None:
            raise KeyError(self._explain_absence(name))
        return view

    def _explain_absence(self, name: str) -> str:
        copy = next((use for owner, use in self._network.uses() if owner == name), None)
        if copy is None or copy.group == name:
            return f"no parameter {name!r}; {did_you_mean(name, self._groups)}"
        return f"no parameter {name!r}: it is tied, as a copy {copy}; its numbers are those of {copy.group!r}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._aliases.view(self._layout, self._vector, name) is not None

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name!r}: {self[name].shape}" for name in self)
        return f"{type(self).__name__}({shapes})"


def name_entry(aliases: Aliases, network: FoldedNetwork, group: str, entry: tuple[int, ...]) -> str | None:
    """The parameter that a number of a group is, where it is one of its own that can be told from its place."""
    if not entry:
        return None
    unit = aliases.name_unit_parameter(group, entry[-1])
    if unit is not None:
        return unit
    names = next((names for names in aliases.entries if names.group == group), None)
    edge = next((c for c in network.connections if c.weight is not None and c.weight.group == group), None)
    if names is None or edge is None or len(entry) != 1 or edge.pattern is None:
        return None
    row, column = int(edge.pattern.rows[entry[0]]), int(edge.pattern.columns[entry[0]])
    row = row if edge.from_units is None else edge.from_units[row]
    column = column if edge.to_units is None else edge.to_units[column]
    plain = f"{aliases.name_unit(edge.source, row)}->{aliases.name_unit(edge.target, column)}"
    return next(
        (name for name in (plain, f"{plain}@{edge.delay}") if names.find(hash_name(name)) == entry[0]), None
    )


class Parameters(Gradients, MutableMapping[str, Array]):
    """The parameters by name; assigning copies into them.

    A name that does not exist, or a value of another shape, is an error, and so is deleting.
    """

    def __setitem__(self, name: str, value: npt.ArrayLike) -> None:
        view = self[name]
        try:
            array = np.asarray(value)
        except UNREADABLE:
            if foreign := describe_foreign("value", value):
                raise DataError(Problem(f"parameters[{name!r}]", *foreign)) from None
            array = np.asarray(None)  # rows that differ in length
        if array.dtype.kind not in "biuf":
            what = f"{type(value).__name__} given that does not hold real numbers alone"
            raise DataError(Problem(f"parameters[{name!r}]", what, f"it has shape {view.shape}"))
        if array.shape != view.shape:
            raise DataError(
                Problem(f"parameters[{name!r}]", f"shape {array.shape} given", f"it has shape {view.shape}")
            )
        view[...] = array

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"parameter {name!r} is part of the network and cannot be deleted")


class States(Mapping[Hashable, Array]):
    """States by node of the user's graph: of a unit of a population, a view of the population's."""

    def __init__(self, aliases: Aliases, populations: Mapping[str, Array]) -> None:
        self._aliases, self._populations = aliases, populations

    def __getitem__(self, node: Hashable) -> Array:
        name = self._aliases.names.get(node)
        if name is None:
            known = list(map(str, self._aliases.names))
            raise KeyError(f"no node {node!r}; {did_you_mean(str(node), known)}")
        if name not in self._aliases.places:
            return self._populations[name]
        population, units = self._aliases.place(name)
        return self._populations[population][..., units]

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._aliases.names)

    def __len__(self) -> int:
        return len(self._aliases.names)

    def __repr__(self) -> str:
        return f"States of {len(self)} nodes"
