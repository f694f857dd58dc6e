"""Which populations a derivative must pass through: those between a free parameter and a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphbptt.ir.folded import Connection, FoldedNetwork, Population, Wire
from graphbptt.ir.functions import is_softmax
from graphbptt.ir.losses import resolve_loss
from graphbptt.ir.parameters import FrozenArray, Use

__all__ = ["Learners", "find_learners"]


@dataclass(frozen=True, slots=True)
class Learners:
    """Populations by what their derivative is needed for.

    `live` ones compute states that depend on free parameters and reach a target. `starting` ones have a learned initial
    state that reaches a target. `inlined` maps a live population to the only one that reads it, where that is the
    activation of a live population in the same step; a softmax is not inlined. `arriving` ones have a derivative by
    their state: a live population reads them, or a loss does. `net_losses` are those whose net input a loss reads.
    """

    live: frozenset[str]
    starting: frozenset[str]
    inlined: Mapping[str, str]
    arriving: frozenset[str]
    net_losses: frozenset[str]

    def has_delta(self, population: str) -> bool:
        """Whether the derivative by the population's own state is kept."""
        return population in self.arriving and population not in self.inlined


def find_learners(
    network: FoldedNetwork, stage_of: Mapping[str, tuple[int, int]], restrained: frozenset[str]
) -> Learners:
    """Walk forward from the free parameters and backward from the targets.

    `stage_of` gives each population's (stage, phase); a `restrained` population, or one with a target, is not inlined.
    """
    free = {group.name for group in network.groups if group.trainable}
    readers: dict[str, set[str]] = {}
    sources: dict[str, set[str]] = {}
    for edge in network.edges:
        readers.setdefault(edge.source, set()).add(edge.target)
        sources.setdefault(edge.target, set()).add(edge.source)
    starting = {p.name for p in network.populations if isinstance(p.initial, Use) and p.initial.group in free}
    owners = {p.name for p in network.populations if p.name not in network.given and _owns(p, free)}
    owners |= {
        connection.target
        for connection in network.connections
        if connection.target not in network.given and connection.weight and connection.weight.group in free
    }
    computing = owners | _reachable(
        {name for start in starting for name in readers.get(start, ())} | owners, readers
    )
    useful = _reachable((term.node for term in network.terms), sources)
    live = frozenset(computing & useful)
    losses = [(term.node, resolve_loss(network, term)[1]) for term in network.terms]
    targeted = {node for node, _ in losses}
    together = {p.name for p in network.populations if is_softmax(p.activation)}
    inlined = {
        name: reader
        for name, reader in _only_readers(network, live).items()
        if name in live - restrained - targeted - together and stage_of[name] == stage_of[reader]
    }
    arriving = {edge.source for edge in network.edges if edge.target in live}
    arriving |= {node for node, reads in losses if reads == "state"}
    return Learners(
        live,
        frozenset(starting & useful),
        _shorten(inlined),
        frozenset(arriving & (live | starting)),
        frozenset(node for node, reads in losses if reads == "net"),
    )


def _owns(population: Population, free: Iterable[str]) -> bool:
    values: list[Use | FrozenArray | None] = [
        population.bias,
        *(value for _, value in population.coefficients),
    ]
    return any(isinstance(value, Use) and value.group in free for value in values)


def _reachable(starts: Iterable[str], neighbours: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    stack = list(starts)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(neighbours.get(name, ()))
    return found


def _only_readers(network: FoldedNetwork, live: frozenset[str]) -> dict[str, str]:
    """Populations that exactly one edge reads among those into live ones, a wire without delay; and that reader."""
    outgoing: dict[str, list[Connection | Wire]] = {}
    for edge in network.edges:
        if edge.target in live:
            outgoing.setdefault(edge.source, []).append(edge)
    return {
        name: edges[0].target
        for name, edges in outgoing.items()
        if len(edges) == 1 and isinstance(edges[0], Wire) and edges[0].delay == 0
    }


def _shorten(inlined: Mapping[str, str], longest: int = 8) -> dict[str, str]:
    """Cut chains of inlined populations to a length whose expressions stay small."""
    depth: dict[str, int] = {}
    for name in inlined:
        chain = []
        while name in inlined and name not in depth:
            chain.append(name)
            name = inlined[name]
        for link in reversed(chain):
            depth[link] = depth.get(inlined[link], 0) + 1
    return {name: reader for name, reader in inlined.items() if depth[name] % (longest + 1)}
