"""FoldedNetwork, Schedule -> placements: which columns of which buffer each population owns.

A component has one buffer of states, its history rows included, and one of net inputs. Populations with the same
activation at the same point of an iteration lie side by side, so that one call computes them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphbptt.ir.expression import Expression, State, leaves, substitute
from graphbptt.ir.folded import FoldedNetwork, Population
from graphbptt.ir.losses import resolve_loss
from graphbptt.ir.plan import Buffer, View
from graphbptt.ir.schedule import Component, Schedule, Scheduled

__all__ = ["Site", "place_buffers"]


@dataclass(frozen=True, slots=True)
class Site:
    """A population's columns and its place in the schedule. `net` is None where nothing arrives or reads it."""

    population: Population
    stage: int
    phase: int
    level: int
    state: View
    net: View | None


def place_buffers(network: FoldedNetwork, schedule: Schedule) -> tuple[dict[str, Site], tuple[Buffer, ...]]:
    """Lay out states and net inputs, component by component."""
    before, after = _reach(network)
    netted = {connection.target for connection in network.connections}
    netted |= {population.name for population in network.populations if population.bias is not None}
    netted |= {target.node for target in network.targets if resolve_loss(network, target)[1] == "net"}
    sites: dict[str, Site] = {}
    buffers: list[Buffer] = []
    for index, component in enumerate(schedule):
        state_name, net_name = f"state{index}", f"net{index}"
        width = net_width = 0
        for node in _side_by_side(network, component):
            population = network.population[node.population]
            state = View(state_name, width, width + population.units)
            width = state.stop
            net = None
            if component.mode != "given" and population.name in netted:
                net = View(net_name, net_width, net_width + population.units)
                net_width = net.stop
            sites[population.name] = Site(population, index, node.phase, node.level, state, net)
        names = [node.population for node in component.nodes]
        buffers.append(
            Buffer(
                state_name,
                width,
                max(before.get(name, 0) for name in names),
                max(after.get(name, 0) for name in names),
            )
        )
        if net_width:
            buffers.append(Buffer(net_name, net_width))
    return sites, tuple(buffers)


def _reach(network: FoldedNetwork) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """How many rows before step 1 and behind the last step each population is read at."""
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for edge in network.edges:
        before[edge.source] = max(before.get(edge.source, 0), edge.delay)
        after[edge.source] = max(after.get(edge.source, 0), -edge.delay)
    return before, after


def _side_by_side(network: FoldedNetwork, component: Component) -> list[Scheduled]:
    def key(node: Scheduled) -> tuple[int, int, str, str]:
        population = network.population[node.population]
        own: dict[Expression, Expression] = {
            leaf: State("", leaf.delay)
            for leaf in leaves(population.activation)
            if isinstance(leaf, State) and leaf.node == population.name
        }
        return node.phase, node.level, str(substitute(population.activation, own)), population.name

    return sorted(component.nodes, key=key)


