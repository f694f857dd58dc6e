"""The text form of a folded network, one declaration a line: `graphbptt explain` prints it, golden files hold it."""

from __future__ import annotations

from typing import Any

from graphbptt.ir.data import Clamp, Last, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.parameters import FrozenArray, Group, Use

__all__ = ["format_folded"]


def format_folded(network: FoldedNetwork) -> str:
    """The network as text."""
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
            + (f", noise {population.noise:g}" if population.noise else "")
            + (f",{coefficients}" if coefficients else "")
            + (f", penalty {population.penalty}" if population.penalty else "")
        )
    for connection in network.connections:
        part = "".join(
            f" {label} {_list(units)}"
            for label, units in (("from", connection.from_units), ("to", connection.to_units))
            if units is not None
        )
        weight = f" {connection.weight}" if connection.weight else ""
        sign = f"{connection.sign} " if connection.sign is not None else ""
        entries = f" {connection.pattern}" if connection.pattern is not None else ""
        lines.append(
            f"  connection {connection.name}: delay {connection.delay}, {sign}{connection.kind}{entries}{weight}{part}"
        )
    lines.extend(f"  wire {wire.source}->{wire.target}: delay {wire.delay}" for wire in network.wires)
    for group in network.groups:
        kind = group.combine if group.trainable else "fixed"
        penalty = f", penalty {group.penalty}" if group.penalty else ""
        lines.append(f"  group {group.name}: shape {group.shape}, {kind}, init {_start(group)}{penalty}")
    lines.extend(f"  constraint {constraint}" for constraint in network.constraints)
    lines.extend(f"  clamp {clamp.node} to {clamp.field} at {_when(clamp)}" for clamp in network.clamps)
    lines.extend(
        f"  target {target.node} to {target.field} at {_when(target)}: {target.weight:g} * {target.loss}"
        for target in network.targets
    )
    return "\n".join(lines)


def _start(group: Group) -> str:
    """What a group starts from, with the fans of its units where its shape does not tell them."""
    if isinstance(group.init, FrozenArray):
        return _short(group.init)
    if group.fans is None:
        return str(group.init)
    return f"{group.init}, fans {group.fans[0]:g} in, {group.fans[1]:g} out"


def _short(constant: FrozenArray) -> str:
    values = constant.values
    return f"{values:g}" if values.ndim == 0 else f"{values.shape} values"


def _when(item: Clamp | Target) -> str:
    at: Any = item.at
    when = at if isinstance(at, str) else f"last {at.steps}" if isinstance(at, Last) else f"steps {list(at)}"
    units = f", units {_list(item.units)}" if item.units is not None else ""
    mask = f", mask {item.mask}" if item.mask else ""
    columns = f", columns {_list(item.columns.indices)}" if item.columns is not None else ""
    return f"{when}{units}{mask}{columns}"


def _list(numbers: tuple[int, ...]) -> str:
    """Numbers in brackets, of many the first."""
    return str(list(numbers)) if len(numbers) <= 20 else f"[{', '.join(map(str, numbers[:8]))}, ...]"
