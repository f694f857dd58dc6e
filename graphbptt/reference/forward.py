"""The forward walk: the stack of activities, one vertex after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.expression import Coefficient, Leaf, Net, State
from graphbptt.ir.folded import Connection, FoldedNetwork, Population
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.losses import resolve_loss
from graphbptt.ir.noise import draw_noise
from graphbptt.ir.unrolled import UnrolledGraph, Vertex
from graphbptt.passes.unroll_network import unroll_network
from graphbptt.reference.evaluate import evaluate, pick_units, take_copy

__all__ = [
    "ForwardPass",
    "clamps_at",
    "find_outside",
    "gather_history",
    "leaf_values",
    "measure_losses",
    "run_reference",
    "start_states",
    "weight_matrix",
]

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class InitialState:
    """The initial rows of a population, (history, batch, units), and where nothing else stands for them: no clamp at
    the start, nothing carried."""

    rows: Array
    free: Mask


@dataclass(frozen=True, slots=True, eq=False)
class ForwardPass:
    """The stack of activities: what every vertex holds, (batch, units).

    `nets` has the net inputs of the vertices that are computed.
    """

    unrolled: UnrolledGraph
    parameters: Mapping[str, Array]
    batch: Batch
    initial: dict[str, InitialState]
    states: dict[Vertex, Array]
    nets: dict[Vertex, Array]

    @property
    def network(self) -> FoldedNetwork:
        return self.unrolled.network

    def series(self, node: str, what: Literal["state", "net"] = "state") -> Array:
        """The states, or net inputs, of a node at steps 1 to T, (steps, batch, units)."""
        values = self.states if what == "state" else self.nets
        return np.stack([values[node, step] for step in range(1, self.unrolled.steps + 1)])


def run_reference(
    network: FoldedNetwork, layout: ParameterLayout, vector: Array, batch: Batch
) -> ForwardPass:
    """Unroll the network over the batch's steps and compute every vertex, in topological order."""
    unrolled = unroll_network(network.after(batch.offset), batch.steps)
    parameters = {slot.group: layout.view(vector, slot.group) for slot in layout.slots}
    initial = {p.name: start_states(network, p, parameters, batch, vector.dtype) for p in network.populations}
    forward = ForwardPass(unrolled, parameters, batch, initial, {}, {})
    with np.errstate(all="ignore"):  # what overflows at padding or under a clamp is replaced below
        for layer in unrolled.layers:
            for vertex in layer:
                forward.states[vertex] = _visit(forward, vertex)
    return forward


def measure_losses(forward: ForwardPass) -> Array:
    """The mean of each term of the loss, before its weight; 0 where it has no step in this batch."""
    losses = []
    for term, bound in zip(forward.network.terms, forward.batch.terms, strict=True):
        rule, reads = resolve_loss(forward.network, term)
        predicted = forward.series(term.node, reads)[..., pick_units(term.units)]
        value, _ = rule.measure(predicted, bound.values)
        total = np.sum(np.where(bound.weights != 0, bound.weights * value, 0))
        losses.append(total / bound.count if bound.count else 0.0)
    return np.array(losses)


def start_states(
    network: FoldedNetwork, population: Population, parameters: Mapping[str, Array], batch: Batch, dtype: Any
) -> InitialState:
    """The initial rows of a population: its initial state, what is clamped at the start, or what is carried."""
    value = take_copy(parameters, population.initial)
    shape = (population.history, batch.size, population.units)
    if batch.carried is not None:
        return InitialState(np.array(batch.carried.rows[population.name], dtype), np.zeros(shape, np.bool_))
    rows = np.array(np.broadcast_to(value, shape[::2])[:, None, :].repeat(batch.size, axis=1), dtype)
    free = np.ones(shape, np.bool_)
    for clamp, bound in zip(network.clamps, batch.clamps, strict=True):
        if clamp.node == population.name and clamp.at == "start":
            units = pick_units(clamp.units)
            mask = np.ones_like(bound.values, np.bool_) if bound.mask is None else bound.mask
            rows[..., units] = np.where(mask, bound.values, rows[..., units])
            free[..., units] &= ~mask
    return InitialState(rows, free)


def _visit(forward: ForwardPass, vertex: Vertex) -> Array:
    """The state of a vertex: computed, then clamped, except where the initial state stands for it."""
    node, step = vertex
    outside, row = find_outside(forward, vertex)
    state = forward.initial[node].rows[row, np.arange(forward.batch.size)]
    if not 1 <= step <= forward.unrolled.steps:
        return state
    computed = np.zeros_like(state)
    if step in forward.unrolled.row[node].computed:
        forward.nets[vertex] = _net_input(forward, vertex)
        activation = forward.network.population[node].activation
        computed[...] = evaluate(activation, leaf_values(forward, vertex))
    for units, values, mask in clamps_at(forward, vertex):
        computed[:, units] = np.where(mask, values, computed[:, units])
    state[~outside] = computed[~outside]
    return state


def _net_input(forward: ForwardPass, vertex: Vertex) -> Array:
    population = forward.network.population[vertex[0]]
    net: Array = np.zeros_like(forward.initial[population.name].rows[0])
    if population.bias is not None:
        net += take_copy(forward.parameters, population.bias)
    if population.noise and forward.batch.noise is not None:
        step = forward.batch.offset + vertex[1]
        net += (
            population.noise
            * draw_noise(forward.batch.noise, population.name, range(step, step + 1), *net.shape)[0]
        )
    for arc in forward.unrolled.incoming(vertex):
        if isinstance(arc.edge, Connection):
            source = forward.states[arc.source][:, pick_units(arc.edge.from_units)]
            net[:, pick_units(arc.edge.to_units)] += source @ weight_matrix(forward, arc.edge)
    return net


def find_outside(forward: ForwardPass, vertex: Vertex) -> tuple[Mask, npt.NDArray[np.int64]]:
    """For each sequence: whether the step lies outside of it, and which initial row then stands there."""
    node, step = vertex
    batch = forward.batch
    last = np.full(batch.size, batch.steps) if batch.lengths is None else batch.lengths
    row = np.full(batch.size, -step) if step < 1 else step - last - 1
    return (step < 1) | (step > last), np.clip(row, 0, forward.network.population[node].history - 1)


def gather_history(forward: ForwardPass, step: int) -> dict[str, Array]:
    """What every population holds at `step` and before, or where a sequence ends earlier, at its end: rows as those
    that a batch can go on from."""
    batch = forward.batch
    ends = np.minimum(step, np.full(batch.size, batch.steps) if batch.lengths is None else batch.lengths)
    history = {}
    for population in forward.network.populations:
        rows = np.empty_like(forward.initial[population.name].rows)
        for k, example in np.ndindex(rows.shape[:2]):
            at = int(ends[example]) - k
            before = forward.initial[population.name].rows
            rows[k, example] = (
                forward.states[population.name, at][example] if at > 0 else before[-at, example]
            )
        history[population.name] = rows
    return history


def clamps_at(forward: ForwardPass, vertex: Vertex) -> Iterator[tuple[Any, Array, Mask]]:
    """The clamps of a vertex in the order declared, as (units, values, where they hold)."""
    node, step = vertex
    for clamp, bound in zip(forward.network.clamps, forward.batch.clamps, strict=True):
        if clamp.node == node and clamp.at != "start":
            values = bound.values[step - 1]
            mask = np.ones_like(values, np.bool_) if bound.mask is None else bound.mask[step - 1]
            yield pick_units(clamp.units), values, mask


def weight_matrix(forward: ForwardPass, edge: Connection) -> Array:
    """The weights of a connection written out as the matrix they stand for."""
    rows = forward.network.population[edge.source].units if edge.from_units is None else len(edge.from_units)
    if edge.weight is None:
        return np.eye(rows)
    copy = take_copy(forward.parameters, edge.weight)
    if edge.pattern is not None:
        columns = (
            forward.network.population[edge.target].units if edge.to_units is None else len(edge.to_units)
        )
        matrix = np.zeros((rows, columns), copy.dtype)
        matrix[edge.pattern.rows, edge.pattern.columns] = copy
        return matrix
    return copy if edge.kind == "dense" else copy * np.eye(rows)


def leaf_values(forward: ForwardPass, vertex: Vertex) -> Callable[[Leaf], Array]:
    """What the leaves of an activation stand for at one vertex."""
    node, step = vertex
    coefficients = dict(forward.network.population[node].coefficients)

    def value(leaf: Leaf) -> Array:
        if isinstance(leaf, Net):
            return forward.nets[vertex]
        if isinstance(leaf, State):
            return forward.states[leaf.node, step - leaf.delay]
        if isinstance(leaf, Coefficient):
            return take_copy(forward.parameters, coefficients[leaf.name])
        raise TypeError(f"{leaf} belongs to a plan, not to a network")

    return value
