"""The folded network: what was declared, validated, with every name resolved and every tie made explicit.

    network    := FoldedNetwork(populations, connections, wires, groups, clamps, targets)
    population := Population(name, units, history, activation, coefficients, bias, initial)
    connection := Connection(name, source, target, delay, kind, weight, from_units, to_units)
    wire       := Wire(source, target, delay)           a state that an activation reads
    group      := Group(name, shape, init, trainable, combine)
    use        := Use(group, scale, transpose)          one copy of a group: scale * P, or scale * P.T
    constant   := FrozenArray(values)
    clamp      := Clamp(node, field, units, at, mask)
    target     := Target(node, field, loss, units, at, mask, weight)

Populations and groups are ordered by name, connections and wires by (target, source, delay, name), clamps and targets
as declared; so two declarations of the same network are equal and hash alike. Nothing here knows of time: step t of a
target reads step ``t - delay`` of a source.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Expression

__all__ = [
    "Clamp",
    "Connection",
    "FoldedNetwork",
    "FrozenArray",
    "Group",
    "Initializer",
    "Last",
    "Population",
    "Target",
    "Use",
    "Wire",
]

ConnectionKind = Literal["dense", "one_to_one", "scalar", "wire"]
Combine = Literal["sum", "mean"]
Loss = Literal["squared_error", "cross_entropy", "binary_cross_entropy"]


class FrozenArray:
    """A read-only array that compares and hashes by content, so that frozen types may hold it.

    >>> FrozenArray([1, 2]) == FrozenArray([1.0, 2.0])
    True
    """

    __slots__ = ("_hash", "values")

    values: npt.NDArray[np.float64]

    def __init__(self, values: npt.ArrayLike) -> None:
        array = np.array(values, dtype=np.float64)
        array.setflags(write=False)
        self.values = array
        self._hash = hash((array.shape, array.tobytes()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenArray) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"FrozenArray({np.array2string(self.values, threshold=8, separator=', ')})"


@dataclass(frozen=True, slots=True)
class Initializer:
    """A distribution of starting values: its name and its numbers, e.g. ``("normal", (("std", 0.1),))``."""

    name: str
    arguments: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value:g}' for key, value in self.arguments)})"


@dataclass(frozen=True, slots=True)
class Group:
    """A weight-sharing group: one parameter array and how the derivatives of its copies combine.

    `shape` is ``(from, to)`` for dense weights, ``(units,)`` for one_to_one weights, biases and vectors of
    coefficients, ``()`` for scalars, ``(units,)`` or ``(history, units)`` for initial states.
    """

    name: str
    shape: tuple[int, ...]
    init: Initializer | FrozenArray
    trainable: bool = True
    combine: Combine = "sum"

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Use:
    """One copy of a group's parameter P: ``scale * P``, transposed if so declared (two-dimensional groups only)."""

    group: str
    scale: float = 1.0
    transpose: bool = False

    def __str__(self) -> str:
        scale = "" if self.scale == 1 else f"{self.scale:g}*"
        return f"{scale}{self.group}{'.T' if self.transpose else ''}"


@dataclass(frozen=True, slots=True)
class Population:
    """A node: `units` units that share an activation.

    `history` is the number D of initial rows it keeps: the largest delay, or look-ahead, with which any connection or
    wire reads it, and at least 1. `initial` holds those rows, broadcastable to ``(D, units)``: row k stands for step
    -k, and for step T+1+k after a sequence's last step T. `bias` is None where there is none. A coefficient is a
    constant or a use of a group, of shape ``()`` or ``(units,)``.
    """

    name: str
    units: int
    history: int
    activation: Expression
    coefficients: tuple[tuple[str, Use | FrozenArray], ...]
    bias: Use | None
    initial: Use | FrozenArray


@dataclass(frozen=True, slots=True)
class Connection:
    """An edge that adds to its target's net input: ``net[t] += state[t - delay] @ W``.

    `name` is unique and is the group's name where the edge is not tied (``x->h``, ``x->h@2``). The kinds: ``dense``
    has W of shape (from, to); ``one_to_one`` a diagonal W; ``scalar`` one number times the identity; ``wire`` the
    identity, with `weight` None. `from_units` and `to_units` pick part of a population, in the order of W's rows and
    columns; None is all of it, in order.
    """

    name: str
    source: str
    target: str
    delay: int
    kind: ConnectionKind
    weight: Use | None
    from_units: tuple[int, ...] | None = None
    to_units: tuple[int, ...] | None = None

    @property
    def pointwise(self) -> bool:
        """Whether it is a multiplication unit by unit rather than a matrix product."""
        return self.kind != "dense" and self.from_units is None and self.to_units is None


@dataclass(frozen=True, slots=True)
class Wire:
    """A state that an activation reads: ``source[t - delay]`` appears in the activation of `target`."""

    source: str
    target: str
    delay: int


@dataclass(frozen=True, slots=True)
class Last:
    """The last `steps` steps of each sequence."""

    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"Last({self.steps}): at least 1 step")


def _freeze(items: Any) -> Any:
    """A list, range or array as a tuple; what is none of them is left as it is, for `fold_graph` to judge."""
    return tuple(items) if isinstance(items, list | range | np.ndarray) else items


@dataclass(frozen=True, slots=True)
class Clamp:
    """Set the states of a node, or of some of its units, to a field of the data.

    Parameters
    ----------
    node, field : str
        The node, and the name of the field that holds the values.
    units : tuple of int, optional
        The clamped units; None is all. The field has that many units.
    at : "every", "start", or tuple of int
        Every step, the initial state (all history rows of the units), or the listed steps, which count from 1.
    mask : str, optional
        A field of zeros and ones, of the values' shape or with one number per step; zero leaves the state free.
    """

    node: str
    field: str
    units: tuple[int, ...] | None = None
    at: Literal["every", "start"] | tuple[int, ...] = "every"
    mask: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", _freeze(self.units))
        object.__setattr__(self, "at", _freeze(self.at))


@dataclass(frozen=True, slots=True)
class Target:
    """Put a loss between the states of a node, or of some of its units, and a field of the data.

    Parameters
    ----------
    node, field : str
        The node, and the name of the field that holds the wanted values (integer labels for cross_entropy).
    loss : {"squared_error", "cross_entropy", "binary_cross_entropy"}
        squared_error is half the sum over units of the squared difference; cross_entropy takes the states as logits
        of a softmax; binary_cross_entropy takes them as probabilities.
    units : tuple of int, optional
        The units that have a target; None is all.
    at : "every", "last", Last(k), or tuple of int
        Every step, each sequence's own last step, its last k steps, or the listed steps, which count from 1.
    mask : str, optional
        A field with one number per step (or per sequence, where the target is static) that weights the steps.
    weight : float
        The factor of this target in the total loss.
    """

    node: str
    field: str
    loss: Loss = "squared_error"
    units: tuple[int, ...] | None = None
    at: Literal["every", "last"] | Last | tuple[int, ...] = "every"
    mask: str | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", _freeze(self.units))
        object.__setattr__(self, "at", _freeze(self.at))


@dataclass(frozen=True)
class FoldedNetwork:
    """The whole network, in canonical order. See the module's grammar."""

    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    wires: tuple[Wire, ...]
    groups: tuple[Group, ...]
    clamps: tuple[Clamp, ...] = ()
    targets: tuple[Target, ...] = ()

    @cached_property
    def population(self) -> dict[str, Population]:
        """The populations by name."""
        return {population.name: population for population in self.populations}

    @cached_property
    def group(self) -> dict[str, Group]:
        """The groups by name."""
        return {group.name: group for group in self.groups}

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
        listed: dict[str, set[int]] = {}
        for clamp in self.clamps:
            if isinstance(clamp.at, tuple) and clamp.mask is None and clamp.node not in self.given:
                listed.setdefault(clamp.node, set()).update(clamp.at)
        fixed = {
            node: frozenset(
                t for t in steps if len(self.clamped_units(node, t)) == self.population[node].units
            )
            for node, steps in listed.items()
        }
        return {node: steps for node, steps in fixed.items() if steps}

    def clamped_units(self, node: str, step: int | None = None) -> set[int]:
        """The units that are clamped whatever the data: at every step, or at `step`."""
        units: set[int] = set()
        for clamp in self.clamps:
            when = clamp.at == "every" or (isinstance(clamp.at, tuple) and step in clamp.at)
            if clamp.node == node and clamp.mask is None and when:
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
            if population is None:
                copies[use.group] += 1
            elif population not in self.given:
                fixed = self.fixed_steps.get(population, frozenset())
                copies[use.group] += steps - sum(step <= steps for step in fixed)
        return copies

    def total_loss(self, means: Iterable[float]) -> float:
        """The sum of weight times mean over the targets, given the mean loss of each."""
        return sum(
            (target.weight * float(mean) for target, mean in zip(self.targets, means, strict=True)), start=0.0
        )

    def __str__(self) -> str:
        return format_folded(self)


def format_folded(network: FoldedNetwork) -> str:
    """The text form, one declaration a line; `graphbptt explain` prints it and golden files hold it."""
    lines = ["folded network"]
    for population in network.populations:
        initial = population.initial if isinstance(population.initial, Use) else _short(population.initial)
        coefficients = "".join(
            f" {name}={value if isinstance(value, Use) else _short(value)}"
            for name, value in population.coefficients
        )
        lines.append(
            f"  population {population.name}: {population.units} units, {population.activation},"
            f" bias {population.bias or 'none'}, initial {initial}, history {population.history}"
            + (f",{coefficients}" if coefficients else "")
        )
    for connection in network.connections:
        part = "".join(
            f" {label} {list(units)}"
            for label, units in (("from", connection.from_units), ("to", connection.to_units))
            if units is not None
        )
        weight = f" {connection.weight}" if connection.weight else ""
        lines.append(
            f"  connection {connection.name}: delay {connection.delay}, {connection.kind}{weight}{part}"
        )
    lines.extend(f"  wire {wire.source}->{wire.target}: delay {wire.delay}" for wire in network.wires)
    for group in network.groups:
        kind = group.combine if group.trainable else "fixed"
        init = group.init if isinstance(group.init, Initializer) else _short(group.init)
        lines.append(f"  group {group.name}: shape {group.shape}, {kind}, init {init}")
    lines.extend(f"  clamp {clamp.node} to {clamp.field} at {_when(clamp)}" for clamp in network.clamps)
    lines.extend(
        f"  target {target.node} to {target.field} at {_when(target)}: {target.weight:g} * {target.loss}"
        for target in network.targets
    )
    return "\n".join(lines)


def _short(constant: FrozenArray) -> str:
    values = constant.values
    return f"{values:g}" if values.ndim == 0 else f"{values.shape} values"


def _when(item: Clamp | Target) -> str:
    at: Any = item.at
    when = at if isinstance(at, str) else f"last {at.steps}" if isinstance(at, Last) else f"steps {list(at)}"
    units = f", units {list(item.units)}" if item.units is not None else ""
    return f"{when}{units}" + (f", mask {item.mask}" if item.mask else "")
