"""What holds for every FoldedNetwork: canonical order, known names, shapes that fit, nothing said twice."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

import numpy as np

from graphbptt.errors import VerificationError
from graphbptt.ir.data import Clamp, Last, Loss, Target
from graphbptt.ir.expression import Coefficient, Load, State, calls, leaves
from graphbptt.ir.folded import Connection, ConnectionKind, FoldedNetwork, Population, Wire
from graphbptt.ir.functions import ACTIVATIONS, is_softmax
from graphbptt.ir.initializers import DISTRIBUTIONS
from graphbptt.ir.losses import LOSSES
from graphbptt.ir.parameters import Combine, Draws, FrozenArray, Group, Use
from graphbptt.ir.penalties import Penalty
from graphbptt.ir.signs import Demand, Sign, demand_sign

__all__ = ["verify_folded"]

Shape = tuple[int, ...]


def verify_folded(network: FoldedNetwork) -> None:
    """Check the invariants of `graphbptt.ir.folded`.

    Raises
    ------
    VerificationError
        One is broken: a bug in graphbptt, for a graph that cannot be folded is refused by `fold_graph`.
    """
    problems = [*_check_order(network), *_check_names(network)]
    if not problems:  # the rest looks things up by name
        for population in network.populations:
            problems += _check_population(network, population)
        for connection in network.connections:
            problems += _check_connection(network, connection)
        problems += [*_check_reads(network), *_check_groups(network), *_check_data(network)]
        problems += _check_constraints(network)
    if problems:
        raise VerificationError("FoldedNetwork: " + "; ".join(problems))


def _check_order(network: FoldedNetwork) -> Iterator[str]:
    orders: dict[str, list[Any]] = {
        "populations": [population.name for population in network.populations],
        "connections": [(c.target, c.source, c.delay, c.name) for c in network.connections],
        "wires": [(wire.target, wire.source, wire.delay) for wire in network.wires],
        "groups": [group.name for group in network.groups],
    }
    for kind, keys in orders.items():
        if any(one >= other for one, other in itertools.pairwise(keys)):
            yield f"the {kind} are not in order, or one stands twice"
    if not network.populations:
        yield "it has no populations"


def _check_names(network: FoldedNetwork) -> Iterator[str]:
    mentioned = [end for edge in _list_edges(network) for end in (edge.source, edge.target)]
    mentioned += [clamp.node for clamp in network.clamps] + [target.node for target in network.targets]
    for node in sorted(set(mentioned) - network.population.keys()):
        yield f"there is no population {node}"
    names = [connection.name for connection in network.connections]
    if len(set(names)) < len(names):
        yield "two connections have one name"
    for group in sorted({use.group for _, use in network.uses()} - network.group.keys()):
        yield f"group {group} is not declared"


def _check_population(network: FoldedNetwork, population: Population) -> Iterator[str]:
    name, vector = population.name, (population.units,)
    if population.units < 1:
        yield f"{name} has no units"
    if not 0 <= population.noise < math.inf:
        yield f"{name} has the noise {population.noise}"
    if population.penalty is not None and not _is_penalty(population.penalty):
        yield f"{name} has the penalty {population.penalty}"
    if population.penalty is not None and name in network.given:
        yield f"{name} is given and has a penalty"
    if population.noise and name in network.given:
        yield f"{name} is given and has noise"
    yield from _check_activation(network, population)
    rows = (population.history, *vector)
    constant = isinstance(population.initial, FrozenArray)
    fits: set[Shape] = {(), vector, rows} if constant else {rows if population.history > 1 else vector}
    yield from _check_shape(network, f"{name}.initial", population.initial, fits)
    if population.bias is not None:
        yield from _check_shape(network, f"{name}.bias", population.bias, {vector})
    for key, coefficient in population.coefficients:
        yield from _check_shape(network, f"{name}.{key}", coefficient, {(), vector})
        if Coefficient(key) not in leaves(population.activation):
            yield f"the activation of {name} does not read its coefficient {key}"
    keys = [key for key, _ in population.coefficients]
    if keys != sorted(set(keys)):
        yield f"the coefficients of {name} are not in order, or one stands twice"


def _check_reads(network: FoldedNetwork) -> Iterator[str]:
    read = {
        Wire(leaf.node, population.name, leaf.delay)
        for population in network.populations
        for leaf in leaves(population.activation)
        if isinstance(leaf, State)
    }
    if read != set(network.wires):
        yield "the wires are not the states that activations read"
    histories = dict.fromkeys(network.population, 1)
    for edge in _list_edges(network):
        histories[edge.source] = max(histories[edge.source], abs(edge.delay))
    for population in network.populations:
        if population.history != histories[population.name]:
            yield f"the history of {population.name} is not the largest delay that reads it"


def _list_edges(network: FoldedNetwork) -> list[Connection | Wire]:
    return [*network.connections, *network.wires]


def _check_activation(network: FoldedNetwork, population: Population) -> Iterator[str]:
    known = dict(population.coefficients)
    parts = [call for call in calls([population.activation]) if is_softmax(call)]
    if parts and population.activation != ACTIVATIONS["softmax"]:
        yield f"the activation of {population.name} has a softmax as a part, or of more than the net input"
    for leaf in leaves(population.activation):
        if isinstance(leaf, Load):
            yield f"the activation of {population.name} holds {leaf} of an executor"
        if isinstance(leaf, Coefficient) and leaf.name not in known:
            yield f"{population.name} has no coefficient {leaf}"
        if isinstance(leaf, State):
            source = network.population.get(leaf.node)
            if source is None or source.units != population.units:
                yield f"{population.name} cannot read {leaf}"


def _check_connection(network: FoldedNetwork, connection: Connection) -> Iterator[str]:
    source, target = network.population[connection.source], network.population[connection.target]
    sizes = []
    for part, population in ((connection.from_units, source), (connection.to_units, target)):
        sizes.append(population.units if part is None else len(part))
        if part is not None:
            yield from _check_units(connection.name, part, population.units)
    if connection.kind not in get_args(ConnectionKind):
        yield f"{connection.name} is of no kind"
    if (connection.pattern is None) != (connection.kind != "sparse"):
        yield f"{connection.name} has a pattern where it should have none, or none where it should have one"
    if connection.pattern is not None and not connection.pattern.fits(*sizes):
        yield f"the pattern of {connection.name} is not in order, or not inside {sizes[0]} by {sizes[1]}"
    if connection.kind not in ("dense", "sparse") and sizes[0] != sizes[1]:
        yield f"{connection.name} joins {sizes[0]} units to {sizes[1]}"
    if connection.sign is not None and (connection.sign not in get_args(Sign) or connection.weight is None):
        yield f"{connection.name} cannot have the sign {connection.sign}"
    if (connection.weight is None) != (connection.kind == "wire"):
        yield f"{connection.name} has a weight where it should have none, or none where it should have one"
    if connection.weight is not None:
        entries = 0 if connection.pattern is None else connection.pattern.size
        shapes: dict[str, Shape] = {"dense": tuple(sizes), "one_to_one": (sizes[0],), "sparse": (entries,)}
        yield from _check_shape(
            network, connection.name, connection.weight, {shapes.get(connection.kind, ())}
        )


def _check_units(owner: str, units: Sequence[int], size: int) -> Iterator[str]:
    if not units or len(set(units)) < len(units) or min(units) < 0 or max(units) >= size:
        yield f"the units of {owner} are not distinct units of {size}"
    if tuple(units) == tuple(range(size)):
        yield f"the units of {owner} are all of them, which is None"


def _check_shape(
    network: FoldedNetwork, owner: str, value: Use | FrozenArray, fits: Iterable[Shape]
) -> Iterator[str]:
    if isinstance(value, FrozenArray):
        shape = value.values.shape
    else:
        shape = network.group[value.group].shape
        if value.scale == 0 or not math.isfinite(value.scale):
            yield f"{owner} has the scale {value.scale}"
        if value.transpose and len(shape) != 2:
            yield f"{owner} transposes shape {shape}"
        if value.index is not None:
            yield from _check_index(owner, value, math.prod(shape))
        shape = value.copy_shape(shape)
    if shape not in fits:
        yield f"{owner} has shape {shape}"


def _check_index(owner: str, use: Use, size: int) -> Iterator[str]:
    """An index map reads numbers that the group has, and multiplies them by ordinary factors."""
    index = use.index
    if index is None:
        return
    if use.transpose:
        yield f"{owner} transposes an index map"
    if index.positions.size and not -1 <= index.positions.min() <= index.positions.max() < size:
        yield f"{owner} reads positions that its group, of {size} numbers, has not"
    if index.factors is not None:
        there = index.factors[index.positions >= 0] if index.factors.shape == index.shape else np.zeros(1)
        if not (np.isfinite(index.factors).all() and there.all()):
            yield f"{owner} has factors that are not one ordinary number for each entry"


def _check_groups(network: FoldedNetwork) -> Iterator[str]:
    used = {use.group for _, use in network.uses()}
    asked = _list_demands(network)
    for group in network.groups:
        if group.name not in used:
            yield f"group {group.name} is not used"
        if group.combine not in get_args(Combine):
            yield f"group {group.name} combines by {group.combine}"
        if not _starts(group):
            yield f"group {group.name} cannot start as {group.init}"
        if group.signs != _find_signs(group, asked.get(group.name, ())):
            yield f"the signs of group {group.name} are not those that connections ask for"
        if group.penalty is not None and not (group.trainable and _is_penalty(group.penalty)):
            yield f"group {group.name} has the penalty {group.penalty}"


def _is_penalty(penalty: Penalty) -> bool:
    factors = penalty.l1, penalty.l2
    return bool(penalty) and all(0 <= factor < math.inf for factor in factors)


def _list_demands(network: FoldedNetwork) -> dict[str, list[Demand]]:
    """What the signs of connections ask of each group's numbers, by the group's name."""
    demands: dict[str, list[Demand]] = {}
    for connection in network.connections:
        use = connection.weight
        if use is not None and use.group in network.group and connection.sign is not None:
            demand = demand_sign(use, connection.sign, network.group[use.group].size)
            demands.setdefault(use.group, []).append(demand)
    return demands


def _find_signs(group: Group, demands: Sequence[Demand]) -> FrozenArray | None:
    together = functools.reduce(operator.or_, demands) if demands else None
    return None if together is None or together.contradicts else together.signs(group.shape)


def _check_constraints(network: FoldedNetwork) -> Iterator[str]:
    size = sum(group.size for group in network.groups)
    texts = [constraint.text for constraint in network.constraints]
    if texts != sorted(set(texts)):
        yield "the constraints are not in order, or one stands twice"
    for constraint in network.constraints:
        rows, columns = constraint.rows.values, constraint.columns.values
        values = constraint.coefficients.values
        if not rows.shape == columns.shape == values.shape or rows.size == 0:
            yield f"the entries of {constraint.text} do not fit"
        elif rows.min() < 0 or rows.max() >= constraint.size or columns.min() < 0 or columns.max() >= size:
            yield f"{constraint.text} reads parameters, or has equations, that do not exist"
        elif not (np.isfinite(values).all() and values.all() and np.isfinite(constraint.right.values).all()):
            yield f"{constraint.text} has numbers that are not ordinary"


def _starts(group: Group) -> bool:
    if isinstance(group.init, FrozenArray):
        # A row of starting values is that of every initial row.
        return group.init.values.shape in ((), group.shape, group.shape[1:])
    if isinstance(group.init, Draws):  # a number at a time, so that no shape is the wrong one
        fits = group.init.keys.shape == group.shape
    else:
        fits = group.init.name not in DISTRIBUTIONS or not DISTRIBUTIONS[group.init.name].misfit(group.shape)
    distribution = DISTRIBUTIONS.get(group.init.name)
    numbers = dict(group.init.arguments)
    return (
        distribution is not None
        and fits
        and (group.init.name == "balanced") == (group.balance is not None)
        and numbers.keys() == distribution.defaults.keys()
        and not distribution.reject(numbers)
    )


def _check_columns(network: FoldedNetwork, item: Clamp | Target) -> Iterator[str]:
    columns, units = item.columns, item.units
    count = network.population[item.node].units if units is None else len(units)
    if columns is not None:
        known = all(0 <= index < columns.width for index in columns.indices)
        if len(columns.indices) != count or not known:
            yield f"the columns of the field {item.field} are not one for each of {count} units"


def _check_data(network: FoldedNetwork) -> Iterator[str]:
    items: list[Clamp | Target] = [*network.clamps, *network.targets]
    for item in items:
        if item.units is not None:
            yield from _check_units(
                f"the field {item.field}", item.units, network.population[item.node].units
            )
        yield from _check_columns(network, item)
        steps = (
            item.at if isinstance(item.at, tuple) else (item.at.steps,) if isinstance(item.at, Last) else (1,)
        )
        if not steps or min(steps) < 1 or len(set(steps)) < len(steps):
            yield f"the field {item.field} is used at steps that do not exist, or twice at one"
    for clamp in network.clamps:
        if isinstance(clamp.at, str) and clamp.at not in ("every", "start"):
            yield f"{clamp.node} is clamped at {clamp.at}"
    for target in network.targets:
        if isinstance(target.at, str) and target.at not in ("every", "last"):
            yield f"{target.node} has a target at {target.at}"
        if not _is_loss(target.loss) or not 0 <= target.weight < math.inf:
            yield f"{target.node} has the target {target.weight} * {target.loss}"


def _is_loss(loss: object) -> bool:
    """Whether it is a loss of the table with all of its options."""
    if not isinstance(loss, Loss) or loss.name not in LOSSES:
        return False
    return [name for name, _ in loss.options] == list(LOSSES[loss.name].options) and all(
        0 < value < math.inf for _, value in loss.options
    )
