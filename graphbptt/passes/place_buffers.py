"""FoldedNetwork, Schedule -> sites: which columns of which buffer each population owns.

Populations that a matrix product reads lie side by side in one buffer for their component, so that one product can
read them all. The others, which only activations read, get a lane each: contiguous memory, shared with neighbours of
the same size computed at the same point of an iteration. In either kind populations with the same activation are
neighbours, so that one call computes them all. Net inputs are laid out like the states they lead to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from graphbptt.ir.expression import Expression, Net, State, leaves, substitute
from graphbptt.ir.folded import FoldedNetwork, Population
from graphbptt.ir.functions import ACTIVATIONS, logistic_of_minus
from graphbptt.ir.losses import resolve_loss
from graphbptt.ir.operations import View
from graphbptt.ir.plan import Buffer
from graphbptt.ir.schedule import Component, Schedule, Scheduled

__all__ = ["Site", "negate_logistic", "place_buffers"]


@dataclass(frozen=True, slots=True)
class Site:
    """A population's columns, its place in the schedule, and its activation.

    `net` is None where nothing arrives or reads it. What arrives there is multiplied by `net_scale`, and `activation`
    is written for that scaled input.
    """

    population: Population
    stage: int
    phase: int
    level: int
    state: View
    net: View | None
    net_scale: float
    activation: Expression


def place_buffers(network: FoldedNetwork, schedule: Schedule) -> tuple[dict[str, Site], tuple[Buffer, ...]]:
    """Lay out states and net inputs, component by component."""
    reach = _Reach(network)
    sites: dict[str, Site] = {}
    buffers: list[Buffer] = []
    for index, component in enumerate(schedule):
        nodes = _side_by_side(network, component)
        states: dict[str, View] = {}
        nets: dict[str, View] = {}
        for place, (lanes, names) in enumerate(_group(network, nodes, reach.multiplied)):
            suffix = f"{index}.{place}" if place else f"{index}"
            states |= _columns(network, f"state{suffix}", names)
            stop = states[names[-1]].stop
            buffers.append(Buffer(f"state{suffix}", "state", index, stop, *reach.of(names), lanes))
            netted = [name for name in names if name in reach.netted and component.mode != "given"]
            if netted:
                nets |= _columns(network, f"net{suffix}", netted)
                lanes = len(netted) if lanes > 1 else 1
                buffers.append(Buffer(f"net{suffix}", "net", index, nets[netted[-1]].stop, lanes=lanes))
        for node in nodes:
            population = network.population[node.population]
            scale, activation = negate_logistic(population, node.population in reach.net_losses)
            sites[population.name] = Site(
                population, index, node.phase, node.level,
                states[population.name], nets.get(population.name), scale, activation,
            )  # fmt: skip
    return sites, tuple(buffers)


class _Reach:
    """Who reads whom, and how far before step 1 and behind the last step."""

    def __init__(self, network: FoldedNetwork) -> None:
        self.before: dict[str, int] = {}
        self.after: dict[str, int] = {}
        for edge in network.edges:
            self.before[edge.source] = max(self.before.get(edge.source, 0), edge.delay)
            self.after[edge.source] = max(self.after.get(edge.source, 0), -edge.delay)
        self.multiplied = {edge.source for edge in network.connections if not edge.pointwise}
        self.net_losses = {t.node for t in network.targets if resolve_loss(network, t)[1] == "net"}
        self.netted = {connection.target for connection in network.connections} | self.net_losses
        self.netted |= {
            population.name
            for population in network.populations
            if population.bias is not None or population.noise
        }

    def of(self, names: Iterable[str]) -> tuple[int, int]:
        names = tuple(names)
        return max(self.before.get(name, 0) for name in names), max(self.after.get(name, 0) for name in names)


def _columns(network: FoldedNetwork, buffer: str, names: Iterable[str]) -> dict[str, View]:
    """Columns of a buffer for some populations, side by side."""
    views: dict[str, View] = {}
    stop = 0
    for name in names:
        start, stop = stop, stop + network.population[name].units
        views[name] = View(buffer, start, stop)
    return views


def _group(
    network: FoldedNetwork, nodes: Sequence[Scheduled], multiplied: set[str]
) -> Iterator[tuple[int, list[str]]]:
    """The populations of each buffer of states, and its number of lanes."""
    joint = [node.population for node in nodes if node.population in multiplied]
    if joint:
        yield 1, joint
    rest = [node for node in nodes if node.population not in multiplied]

    def key(node: Scheduled) -> tuple[int, int, int]:
        return node.phase, node.level, network.population[node.population].units

    for _, group in groupby(rest, key):
        names = [node.population for node in group]
        yield len(names), names


def _side_by_side(network: FoldedNetwork, component: Component) -> list[Scheduled]:
    """The populations in the order of their columns: as computed, and like activations together.

    Among these, those that are read together come together, since their deltas have one source.
    """
    levels = {node.population: node.level for node in component.nodes}
    read_at = {wire.source: levels.get(wire.target, 0) for wire in network.wires}

    def key(node: Scheduled) -> tuple[int, int, str, int, str]:
        population = network.population[node.population]
        own: Mapping[Expression, Expression] = {
            leaf: State("", leaf.delay)
            for leaf in leaves(population.activation)
            if isinstance(leaf, State) and leaf.node == population.name
        }
        activation = str(substitute(population.activation, own))
        return node.phase, node.level, activation, -read_at.get(population.name, 0), population.name

    return sorted(component.nodes, key=key)


def negate_logistic(population: Population, net_is_read: bool) -> tuple[float, Expression]:
    """``logistic(net)`` of an input with the opposite sign, if nothing else reads it: the factor, the activation."""
    logistic = ACTIVATIONS["logistic"]
    negated = substitute(population.activation, {logistic: logistic_of_minus(Net())})
    elsewhere = substitute(population.activation, {logistic: State("", 0)})
    if net_is_read or negated == population.activation or Net() in set(leaves(elsewhere)):
        return 1.0, population.activation
    return -1.0, negated
