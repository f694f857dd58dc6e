"""The backward walk: a derivative for every copy of every parameter, and the one place where copies meet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.batch import Batch
from graphbptt.ir.expression import Coefficient, Expression, Leaf, Net, State, gradients
from graphbptt.ir.folded import Connection, FoldedNetwork
from graphbptt.ir.functions import is_softmax
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.losses import resolve_loss
from graphbptt.ir.parameters import Use
from graphbptt.ir.unrolled import Copy, Vertex
from graphbptt.reference.evaluate import evaluate, pick_units, take_copy
from graphbptt.reference.forward import (
    ForwardPass,
    clamps_at,
    find_outside,
    leaf_values,
    measure_losses,
    run_reference,
    weight_matrix,
)

__all__ = ["add_copies", "derive_copies", "reference_gradient", "reference_loss_and_gradient"]

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def derive_copies(forward: ForwardPass) -> dict[Copy, Array]:
    """The derivative of the weighted total loss by every copy of every parameter, before they are added.

    Each has the shape of the copy itself, that is with the scale and the transposition of its use applied,
    and is summed over the batch. Steps that no sequence of the batch has are padding, which has no copies.
    """
    by_state = {vertex: np.zeros_like(state) for vertex, state in forward.states.items()}
    by_net = {vertex: np.zeros_like(net) for vertex, net in forward.nets.items()}
    by_initial = {name: np.zeros_like(initial.rows) for name, initial in forward.initial.items()}
    copies: dict[Copy, Array] = {}
    with np.errstate(all="ignore"):
        _derive_losses(forward, by_state, by_net)
        for layer in reversed(forward.unrolled.layers):
            for vertex in layer:
                delta = _leave_padding(forward, vertex, by_state[vertex], by_initial)
                if vertex in forward.nets and vertex[1] <= forward.batch.longest:
                    delta = np.where(_free_units(forward, vertex), delta, 0)
                    copies.update(_derive_vertex(forward, vertex, delta, by_state, by_net[vertex]))
    for population in forward.network.populations:
        # In a batch that goes on from carried states, initial states have no copy.
        if isinstance(population.initial, Use) and forward.batch.carried is None:
            free = forward.initial[population.name].free
            by_row = np.where(free, by_initial[population.name], 0).sum(axis=1)
            shape = take_copy(forward.parameters, population.initial).shape
            copies[Copy(f"{population.name}.initial", population.initial, 0)] = _fold_axes(by_row, shape)
    return copies


def add_copies(network: FoldedNetwork, copies: Mapping[Copy, Array]) -> dict[str, Array]:
    """Combine the derivatives of the copies of each group: their sum, or their mean.

    What an index map reads several times counts as often in the mean.
    """
    combined = {group.name: np.zeros(group.shape) for group in network.groups}
    numbers = {group.name: np.zeros(group.shape) for group in network.groups}
    for copy, derivative in copies.items():
        use, total = copy.use, combined[copy.use.group]
        total += use.scale * _by_parameter(use, derivative, total.shape)
        read = 1 if use.index is None else use.index.count_entries(total.size).reshape(total.shape)
        numbers[use.group] += read
    for group in network.groups:
        if group.combine == "mean":
            combined[group.name] /= np.maximum(numbers[group.name], 1)
    return combined


def _by_parameter(use: Use, derivative: Array, shape: tuple[int, ...]) -> Array:
    """The derivative by a group's parameter of this shape, from the one by a copy before its scale."""
    if use.index is None:
        return derivative.T if use.transpose else derivative
    total = np.zeros(math.prod(shape))
    factors = np.ones(use.index.shape) if use.index.factors is None else use.index.factors
    for entry, position in np.ndenumerate(use.index.positions):
        if position >= 0:
            total[position] += factors[entry] * derivative[entry]
    return total.reshape(shape)


def reference_loss_and_gradient(
    network: FoldedNetwork, layout: ParameterLayout, vector: Array, batch: Batch
) -> tuple[Array, Array]:
    """The mean loss of each target, and the derivative of the weighted total by the free parameters, flat."""
    forward = run_reference(network, layout, vector, batch)
    return measure_losses(forward), reference_gradient(forward, layout)


def reference_gradient(forward: ForwardPass, layout: ParameterLayout) -> Array:
    """The derivative of the weighted total loss by the free parameters, flat."""
    combined = add_copies(forward.network, derive_copies(forward))
    gradient = np.zeros(layout.size)
    for slot in layout.slots:
        layout.view(gradient, slot.group)[...] = combined[slot.group]
    return gradient[: layout.free]


def _derive_losses(forward: ForwardPass, by_state: dict[Vertex, Array], by_net: dict[Vertex, Array]) -> None:
    for term, bound in zip(forward.network.terms, forward.batch.terms, strict=True):
        if not bound.count:
            continue
        rule, reads = resolve_loss(forward.network, term)
        units = pick_units(term.units)
        _, slope = rule.measure(forward.series(term.node, reads)[..., units], bound.values)
        weights = (term.weight / bound.count * bound.weights)[..., None]
        derivative = np.where(weights != 0, weights * slope, 0)
        for step in range(1, forward.unrolled.steps + 1):
            (by_state if reads == "state" else by_net)[term.node, step][:, units] += derivative[step - 1]


def _leave_padding(forward: ForwardPass, vertex: Vertex, delta: Array, by_initial: dict[str, Array]) -> Array:
    """Hand what belongs to the initial state to it, and return the rest."""
    outside, row = find_outside(forward, vertex)
    sequences = np.flatnonzero(outside)
    by_initial[vertex[0]][row[sequences], sequences] += delta[sequences]
    return np.where(outside[:, None], 0, delta)


def _free_units(forward: ForwardPass, vertex: Vertex) -> Mask:
    free = np.ones_like(forward.states[vertex], np.bool_)
    for units, _, mask in clamps_at(forward, vertex):
        free[:, units] &= ~mask
    return free


def _derive_vertex(
    forward: ForwardPass, vertex: Vertex, delta: Array, by_state: dict[Vertex, Array], by_net: Array
) -> Iterator[tuple[Copy, Array]]:
    """Pass a vertex's derivative on to what it was computed from; yields those by its own copies."""
    node, step = vertex
    population = forward.network.population[node]
    coefficients = dict(population.coefficients)
    values = leaf_values(forward, vertex)
    if is_softmax(population.activation):
        probabilities = evaluate(population.activation, values)
        by_net = by_net + probabilities * (delta - (delta * probabilities).sum(axis=-1, keepdims=True))
    for leaf, slope in _list_slopes(population.activation):
        by_leaf = np.where(delta != 0, delta * evaluate(slope, values), 0)
        if isinstance(leaf, Net):
            by_net = by_net + by_leaf
        elif isinstance(leaf, State):
            source = by_state[leaf.node, step - leaf.delay]
            source += _fold_axes(by_leaf, source.shape)
        elif isinstance(leaf, Coefficient) and isinstance(use := coefficients[leaf.name], Use):
            shape = take_copy(forward.parameters, use).shape
            yield Copy(f"{node}.{leaf.name}", use, step), _fold_axes(by_leaf, shape)
    if population.bias is not None:
        yield Copy(f"{node}.bias", population.bias, step), by_net.sum(axis=0)
    for arc in forward.unrolled.incoming(vertex):
        edge = arc.edge
        if isinstance(edge, Connection):
            arriving = by_net[:, pick_units(edge.to_units)]
            by_state[arc.source][:, pick_units(edge.from_units)] += arriving @ weight_matrix(forward, edge).T
            if edge.weight is not None:
                source_state = forward.states[arc.source][:, pick_units(edge.from_units)]
                yield Copy(edge.name, edge.weight, step), _by_weight(edge, source_state.T @ arriving)


def _list_slopes(activation: Expression) -> Iterable[tuple[Leaf, Expression]]:
    """The derivatives of an activation that works unit by unit."""
    return () if is_softmax(activation) else gradients(activation).items()


def _by_weight(edge: Connection, by_matrix: Array) -> Array:
    """The derivative by a connection's weights, from the one by the matrix they stand for."""
    if edge.kind == "dense":
        return by_matrix
    if edge.pattern is not None:
        return by_matrix[edge.pattern.rows, edge.pattern.columns]
    diagonal = np.diagonal(by_matrix)
    return diagonal if edge.kind == "one_to_one" else np.asarray(diagonal.sum())


def _fold_axes(derivative: Array, shape: tuple[int, ...]) -> Array:
    """The derivative by what was broadcast from `shape`: summed over the axes along which it was repeated."""
    added = derivative.sum(axis=tuple(range(derivative.ndim - len(shape))))
    repeated = tuple(k for k, size in enumerate(shape) if size == 1 < added.shape[k])
    return np.asarray(added.sum(axis=repeated, keepdims=True))
