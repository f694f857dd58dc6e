"""One unit of one vertex: what its activation reads there, given the states that any executor computed.

It is the forward walk of a single number, which costs no more than the weights that arrive at it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.expression import Coefficient, Leaf, Net, State
from graphbptt.ir.folded import Connection, FoldedNetwork
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.noise import draw_noise
from graphbptt.reference.evaluate import take_copy
from graphbptt.reference.forward import start_states

__all__ = ["UnitPlace", "read_unit"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class UnitPlace:
    """A unit of a population, in an example of a batch, at a step of it."""

    population: str
    unit: int
    example: int
    step: int


def read_unit(
    network: FoldedNetwork,
    layout: ParameterLayout,
    vector: Array,
    batch: Batch,
    states: Mapping[str, Array],
    place: UnitPlace,
) -> Callable[[Leaf], float]:
    """What the leaves of an activation stand for; `states`, of steps 1 to T, are (batch, time, units)."""
    parameters = {slot.group: layout.view(vector, slot.group) for slot in layout.slots}
    coefficients = dict(network.population[place.population].coefficients)

    def read_states(node: str, delay: int) -> Array:
        step = place.step - delay
        if 1 <= step <= batch.steps:
            inside: Array = states[node][place.example, step - 1]
            return inside
        rows = start_states(network, network.population[node], parameters, batch, vector.dtype).rows
        last = batch.steps if batch.lengths is None else int(batch.lengths[place.example])
        outside: Array = rows[min(-step if step < 1 else step - last - 1, len(rows) - 1), place.example]
        return outside

    def value(leaf: Leaf) -> float:
        if isinstance(leaf, Net):
            return _add_net(network, parameters, batch, place, read_states)
        if isinstance(leaf, State):
            return float(read_states(leaf.node, leaf.delay)[place.unit])
        assert isinstance(leaf, Coefficient)
        copy = take_copy(parameters, coefficients[leaf.name])
        return float(np.broadcast_to(copy, network.population[place.population].units)[place.unit])

    return value


def _add_net(
    network: FoldedNetwork,
    parameters: Mapping[str, Array],
    batch: Batch,
    place: UnitPlace,
    read_states: Callable[[str, int], Array],
) -> float:
    population = network.population[place.population]
    net = 0.0
    if population.bias is not None:
        net += float(np.broadcast_to(take_copy(parameters, population.bias), population.units)[place.unit])
    if population.noise and batch.noise is not None:
        step = batch.offset + place.step
        drawn = draw_noise(batch.noise, population.name, range(step, step + 1), batch.size, population.units)
        net += float(population.noise * drawn[0, place.example, place.unit])
    for edge in network.connections:
        if edge.target == place.population and (edge.to_units is None or place.unit in edge.to_units):
            column = place.unit if edge.to_units is None else edge.to_units.index(place.unit)
            source = read_states(edge.source, edge.delay)
            read = source if edge.from_units is None else source[list(edge.from_units)]
            net += _multiply_column(parameters, edge, read, column)
    return net


def _multiply_column(parameters: Mapping[str, Array], edge: Connection, read: Array, column: int) -> float:
    """What one unit gets of the product of states with the weights of a connection."""
    if edge.weight is None:
        return float(read[column])
    weights = take_copy(parameters, edge.weight)
    if edge.pattern is not None:
        chosen = edge.pattern.columns == column
        return float(read[edge.pattern.rows[chosen]] @ weights[chosen])
    if edge.kind == "dense":
        return float(read @ weights[:, column])
    return float(read[column] * np.broadcast_to(weights, len(read))[column])
