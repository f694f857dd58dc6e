"""The folded network: what was declared, validated, with every name resolved and every tie made explicit.

    network    := FoldedNetwork(populations, connections, wires, groups, clamps, targets, constraints)
    population := Population(name, units, history, activation, coefficients, bias, initial, noise,
                             penalty)
    connection := Connection(name, source, target, delay, kind, weight, from_units, to_units,
                             pattern, storage, sign)
    wire       := Wire(source, target, delay)           a state that an activation reads

Groups and their uses are in `graphbptt.ir.parameters`, patterns in `graphbptt.ir.indices`, clamps and targets in
`graphbptt.ir.data`, constraints, ordered by text, in `graphbptt.ir.constraints`. Populations and groups are ordered
by name, connections and wires by (target, source, delay, name), clamps and targets as declared; so two declarations
of the same network are equal and hash alike. Nothing here knows of time: step t of a target reads step ``t - delay``
of a source.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from graphbptt.ir.constraints import Constraint
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.expression import Expression
from graphbptt.ir.indices import Indices, Pattern
from graphbptt.ir.parameters import FrozenArray, Group, Use
from graphbptt.ir.penalties import Penalty, StatePenalty
from graphbptt.ir.signs import Sign

__all__ = ["Connection", "ConnectionKind", "FoldedNetwork", "Population", "Storage", "Wire"]

ConnectionKind = Literal["dense", "one_to_one", "scalar", "wire", "sparse"]

Storage = Literal["dense", "csr"]


@dataclass(frozen=True, slots=True)
class Population:
    """A node: `units` units that share an activation.

    `history` is the number D of initial rows it keeps: the largest delay, or look-ahead, with which any connection or
    wire reads it, and at least 1. `initial` holds those rows, broadcastable to ``(D, units)``: row k stands for step
    -k, and for step T+1+k after a sequence's last step T. `bias` is None where there is none. A coefficient is a
    constant or a use of a group, of shape ``()`` or ``(units,)``. `noise` is the standard deviation of the Gaussian
    numbers that are added to the net input, independently for each step, example and unit. `penalty` is that on its
    states; data, which nothing can make smaller, have none.
    """

    name: str
    units: int
    history: int
    activation: Expression
    coefficients: tuple[tuple[str, Use | FrozenArray], ...]
    bias: Use | None
    initial: Use | FrozenArray
    noise: float = 0.0
    penalty: Penalty | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """An edge that adds to its target's net input: ``net[t] += state[t - delay] @ W``.

    `name` is unique and is the group's name where the edge is not tied (``x->h``, ``x->h@2``). The kinds: ``dense``
    has W of shape (from, to); ``one_to_one`` a diagonal W; ``scalar`` one number times the identity; ``wire`` the
    identity, with `weight` None; ``sparse`` has entries where its `pattern` says, in that order, and zeros elsewhere.
    `from_units` and `to_units` pick part of a population, in the order of W's rows and columns; None is all of it, in
    order. `storage` says how sparse weights are kept, as a dense matrix or in rows; None leaves it to the plan. `sign`
    is the one that all its weights have.
    """

    name: str
    source: str
    target: str
    delay: int
    kind: ConnectionKind
    weight: Use | None
    from_units: tuple[int, ...] | None = None
    to_units: tuple[int, ...] | None = None
    pattern: Pattern | None = None
    storage: Storage | None = None
    sign: Sign | None = None

    @property
    def pointwise(self) -> bool:
        """Whether it is a multiplication unit by unit rather than a matrix product."""
        return self.kind not in ("dense", "sparse") and self.from_units is None and self.to_units is None


@dataclass(frozen=True, slots=True)
class Wire:
    """A state that an activation reads: ``source[t - delay]`` appears in the activation of `target`."""

    source: str
    target: str
    delay: int


@dataclass(frozen=True)
class FoldedNetwork:
    """The whole network, in canonical order. See the module's grammar."""

    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    wires: tuple[Wire, ...]
    groups: tuple[Group, ...]
    clamps: tuple[Clamp, ...] = ()
    targets: tuple[Target, ...] = ()
    constraints: tuple[Constraint, ...] = ()

    @cached_property
    def population(self) -> dict[str, Population]:
        """The populations by name."""
        return {population.name: population for population in self.populations}

    @cached_property
    def group(self) -> dict[str, Group]:
        """The groups by name."""
        return {group.name: group for group in self.groups}

    @cached_property
    def terms(self) -> tuple[Target | StatePenalty, ...]:
        """The terms of the loss that read states: the targets as declared, then the penalties by population."""
        penalties = (StatePenalty(p.name, p.penalty) for p in self.populations if p.penalty is not None)
        return (*self.targets, *penalties)

    @cached_property
    def noisy(self) -> tuple[Population, ...]:
        """The populations whose net inputs noise is added to."""
        return tuple(p for p in self.populations if p.noise and p.name not in self.given)

    @cached_property
    def given(self) -> frozenset[str]:
        """The populations clamped as a whole at every step: they are data, and nothing arrives at them."""
        return frozenset(
            population.name
            for population in self.populations
            if len(self.clamped_units(population.name)) == population.units
        )

    @cached_property
    def fixed_steps(self) -> dict[str, frozenset[int]]:
        """The listed steps at which clamps set all units of a population, whatever the data: nothing arrives there.

        Populations without such steps, and `given` ones, are absent.
        """
        fixed: dict[str, frozenset[int]] = {}
        for node, clamps in self._clamps_on.items():
            if node in self.given:
                continue
            listing: dict[int, list[int]] = {}
            for number, clamp in enumerate(clamps):
                for step in set(clamp.at) if isinstance(clamp.at, tuple) else ():
                    listing.setdefault(step, []).append(number)
            # Many steps are listed by few sets of clamps, each of which is judged once.
            steps: dict[tuple[int, ...], list[int]] = {}
            for step, numbers in listing.items():
                steps.setdefault(tuple(numbers), []).append(step)
            always = self.clamped_units(node)
            full = [
                step
                for numbers, alike in steps.items()
                if self._sets_all(node, always, [clamps[number] for number in numbers])
                for step in alike
            ]
            if full:
                fixed[node] = frozenset(full)
        return fixed

    def _sets_all(self, node: str, units: set[int], clamps: Sequence[Clamp]) -> bool:
        """Whether clamps, with the units that are set anyhow, set all of a population."""
        if any(clamp.units is None for clamp in clamps):
            return True
        return len(units.union(*(clamp.units or () for clamp in clamps))) == self.population[node].units

    @cached_property
    def _clamps_on(self) -> dict[str, list[Clamp]]:
        """The clamps of each population that has some which set units whatever the data."""
        clamps: dict[str, list[Clamp]] = {}
        for clamp in self.clamps:
            if clamp.mask is None and clamp.at != "start":
                clamps.setdefault(clamp.node, []).append(clamp)
        return clamps

    def after(self, steps: int) -> FoldedNetwork:
        """The same network with listed steps that count from `steps` later on: what a batch sees that goes on there."""
        if not steps or not any(isinstance(clamp.at, tuple) for clamp in self.clamps):
            return self
        clamps = tuple(
            replace(clamp, at=tuple(step - steps for step in clamp.at if step > steps))
            if isinstance(clamp.at, tuple)
            else clamp
            for clamp in self.clamps
        )
        return replace(self, clamps=clamps)

    def clamped_units(self, node: str) -> set[int]:
        """The units that are clamped at every step, whatever the data."""
        units: set[int] = set()
        for clamp in self._clamps_on.get(node, ()):
            if clamp.at == "every":
                units.update(range(self.population[node].units) if clamp.units is None else clamp.units)
        return units

    @cached_property
    def edges(self) -> tuple[Connection | Wire, ...]:
        """Every edge that carries something: connections and wires, less those into `given` populations."""
        every: tuple[Connection | Wire, ...] = (*self.connections, *self.wires)
        return tuple(edge for edge in every if edge.target not in self.given)

    def uses(self) -> Iterator[tuple[str, Use]]:
        """Every place where a group is used, as (owner, use); the owner is a connection's or a parameter's name."""
        for owner, _, use in self.placed_uses():
            yield owner, use

    def placed_uses(self) -> Iterator[tuple[str, str | None, Use]]:
        """The same as (owner, population, use), with the population that has a copy at each step it is computed at.

        It is None for an initial state, which has one copy.
        """
        for connection in self.connections:
            if connection.weight is not None:
                yield connection.name, connection.target, connection.weight
        for population in self.populations:
            if population.bias is not None:
                yield f"{population.name}.bias", population.name, population.bias
            if isinstance(population.initial, Use):
                yield f"{population.name}.initial", None, population.initial
            for name, coefficient in population.coefficients:
                if isinstance(coefficient, Use):
                    yield f"{population.name}.{name}", population.name, coefficient

    def count_copies(self, steps: int) -> dict[str, int]:
        """The number of copies of each group when unrolled over `steps` steps.

        A connection, a bias or a coefficient has one copy per step at which its target is computed, an initial state
        has one. What clamps fix (`given`, `fixed_steps`) is not computed, so what arrives there has none.
        """
        copies = dict.fromkeys(self.group, 0)
        for _, population, use in self.placed_uses():
            copies[use.group] += self._count_steps(population, steps)
        return copies

    def _count_steps(self, population: str | None, steps: int, offset: int = 0) -> int:
        """How many copies a use in this population has; None stands for an initial state."""
        if population is None:
            return 1
        if population in self.given:
            return 0
        fixed = self._fixed_in_order.get(population, ())
        return steps - bisect_right(fixed, offset + steps) + bisect_right(fixed, offset)

    @cached_property
    def _fixed_in_order(self) -> dict[str, tuple[int, ...]]:
        return {population: tuple(sorted(steps)) for population, steps in self.fixed_steps.items()}

    @cached_property
    def _uses_of(self) -> dict[str, list[tuple[str | None, Use]]]:
        """The uses of each group, with their populations."""
        uses: dict[str, list[tuple[str | None, Use]]] = {}
        for _, population, use in self.placed_uses():
            uses.setdefault(use.group, []).append((population, use))
        return uses

    def count_entries(self, steps: int, group: str, starts: bool = True, offset: int = 0) -> Indices:
        """For each number of a group, of the group's shape, how many entries of all its copies it makes.

        That is what a group which combines by `mean` divides by. Without index maps it is the number of copies. The
        steps are those after the first `offset` ones. Steps that do not start their sequences, but go on from carried
        states, have no copy of an initial state.
        """
        shape = self.group[group].shape
        number = np.zeros(shape, np.int64)
        for population, use in self._uses_of.get(group, ()):
            if starts or population is not None:
                copies = self._count_steps(population, steps, offset)
                entries = 1 if use.index is None else use.index.count_entries(number.size).reshape(shape)
                number += copies * entries
        return number

    def total_loss(self, means: Iterable[float]) -> float:
        """The sum of weight times mean over the `terms`, given the mean of each."""
        return sum(
            (term.weight * float(mean) for term, mean in zip(self.terms, means, strict=True)), start=0.0
        )

    def __str__(self) -> str:
        from graphbptt.ir.folded_text import format_folded  # written in terms of what is declared here

        return format_folded(self)
