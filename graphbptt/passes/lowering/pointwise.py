"""Element-wise work: activations, biases, diagonal weights, noise.

    forward     out (+)= f(views, rows)
    backward    view.delta += out.delta * df/dview
                drow += sum out.delta * df/drow         (once, at the end)

Noise has no derivative.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphbptt.ir.expression import (
    Coefficient,
    Expression,
    Load,
    Net,
    Number,
    State,
    gradients,
    leaves,
    number,
    substitute,
)
from graphbptt.ir.folded import Connection
from graphbptt.ir.operations import Assignment, Compute, Operation, Perturb, Reduce, Row, View
from graphbptt.ir.parameters import FrozenArray, Use
from graphbptt.passes.lowering.draft import Draft, NetInputs, scale_use
from graphbptt.passes.lowering.reversal import Reversal
from graphbptt.passes.place_buffers import Site

__all__ = ["lower_activation", "lower_bias", "lower_diagonal", "lower_noise", "reverse_compute"]


def lower_activation(draft: Draft, site: Site) -> Assignment:
    """``state = activation``, its names replaced by the views and rows that hold their values."""
    population = site.population
    coefficients = dict(population.coefficients)
    loads: dict[Expression, Expression] = {}
    for leaf in leaves(site.activation):
        if isinstance(leaf, Net):
            loads[leaf] = Load(site.net) if site.net is not None else number(0)
        elif isinstance(leaf, State):
            loads[leaf] = Load(replace(draft.sites[leaf.node].state, shift=-leaf.delay))
        elif isinstance(leaf, Coefficient):
            loads[leaf] = _load_coefficient(draft, coefficients[leaf.name], population.units)
    return Assignment(site.state, substitute(site.activation, loads))


def _load_coefficient(draft: Draft, value: Use | FrozenArray, width: int) -> Expression:
    if isinstance(value, FrozenArray) and value.values.ndim == 0:
        return number(float(value.values))
    return draft.row(value, width)


def lower_bias(draft: Draft, site: Site, net: NetInputs) -> Assignment:
    """A bias that no product carries."""
    if site.net is None or site.population.bias is None:
        raise AssertionError(f"{site.population.name} has no bias")
    row = draft.row(scale_use(site.population.bias, site.net_scale), site.net.width)
    return Assignment(site.net, row, net.claim(site.net))


def lower_diagonal(draft: Draft, connection: Connection, net: NetInputs) -> Compute:
    """A connection from unit to unit of whole populations; a wire has no weight but the scale of the net input."""
    site, out = draft.sites[connection.target], draft.net_of(connection)
    states = replace(draft.sites[connection.source].state, shift=-connection.delay)
    scale = site.net_scale
    weight = draft.row(scale_use(connection.weight, scale), out.width) if connection.weight else scale
    return Compute((Assignment(out, weight * Load(states), net.claim(out)),))


def lower_noise(site: Site, net: NetInputs) -> Perturb:
    """Noise of a net input."""
    if site.net is None:
        raise AssertionError(f"{site.population.name} has noise but no net input")
    scale = site.population.noise * site.net_scale
    return Perturb(site.net, site.population.name, scale, net.claim(site.net))


def reverse_compute(reversal: Reversal, compute: Compute, final: list[Operation]) -> Iterator[Operation]:
    """All assignments at once, as they were computed; reductions wait for the end."""
    steps = [step for item in compute.assignments for step in _reverse_assignment(reversal, item, final)]
    if steps:
        yield Compute(tuple(steps))


def _reverse_assignment(
    reversal: Reversal, assignment: Assignment, final: list[Operation]
) -> Iterator[Assignment]:
    name = reversal.plan.owner.get(assignment.out)
    if name is not None:
        if not reversal.learners.has_delta(name):
            return
        arriving, partials = Load(reversal.delta(assignment.out)), reversal.trees[name]
    elif reversal.plan.buffer[assignment.out.buffer].kind == "net":
        arriving, partials = Load(reversal.net_delta(assignment.out)), gradients(assignment.expression)
    else:
        return  # data beside the states
    for leaf, partial in partials.items():
        if not isinstance(leaf, Load) or partial == Number(0):
            continue
        slot = leaf.slot
        if isinstance(slot, Row):
            if reversal.is_free(slot):
                final.append(Reduce(slot, arriving * reversal.slope(name, leaf, partial)))
        elif slot in reversal.net_owner and isinstance(slot, View):
            step = Assignment(reversal.net_delta(slot), arriving * reversal.slope(name, leaf, partial))
            if step.expression != Load(step.out):
                yield step
        elif isinstance(slot, View) and reversal.is_wanted(slot):
            slope = reversal.slope(name, leaf, partial)
            step = Assignment(reversal.delta(slot), arriving * slope, accumulate=True)
            if reversal.plan.buffer[slot.buffer].stage == reversal.index:
                yield step
            else:
                final.append(Compute((step,)))
