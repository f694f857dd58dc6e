"""Copies of data, and ones, in columns beside the states: one product then reads everything that arrives.

No derivative passes to them: their columns lie behind those of the states, and products with a transpose stop there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from graphbptt.ir.expression import Load, number
from graphbptt.ir.folded import Connection
from graphbptt.ir.operations import Assignment, Compute, Operation, Product, View
from graphbptt.ir.parameters import FrozenArray
from graphbptt.passes.lowering.arrivals import WHOLE, Moment
from graphbptt.passes.lowering.draft import Draft, NetInputs
from graphbptt.passes.lowering.products import list_biases, list_weights, lower_product, states_of
from graphbptt.passes.merge_products import Box, pays_to_join
from graphbptt.passes.place_buffers import Site

__all__ = ["find_joint", "join_products", "multiply"]


def find_joint(
    draft: Draft, arrivals: Mapping[Moment, Sequence[Box | Connection]], here: Sequence[Site]
) -> tuple[Box, list[Box]] | None:
    """The loop's only product and the hoisted ones that should join it; None where they should not.

    Only data can be joined: no derivative passes to it. Noise is in the net input before the loop, so the
    addition per step that joining spares is made there anyway.
    """
    if any(site.population.noise for site in here):
        return None
    inside = [item for moment, items in arrivals.items() if moment != WHOLE for item in items]
    hoisted = [item for item in arrivals.get(WHOLE, []) if isinstance(item, Box) and _is_data(draft, item)]
    lone = len(inside) == 1 and ("early", 0, 0) in arrivals and not any(site.phase for site in here)
    if not lone or not isinstance(inside[0], Box) or len(hoisted) < len(arrivals.get(WHOLE, [])):
        return None
    nets = {site.net.buffer for site in here if site.net is not None}
    width = sum(draft.buffers[name].width for name in nets)
    last = inside[0].bottom == draft.buffers[states_of(draft, inside[0]).buffer].width
    pays = len(nets) == 1 and last and pays_to_join(hoisted, width)
    return (inside[0], hoisted) if pays else None


def join_products(
    draft: Draft, recurrent: Box, hoisted: Sequence[Box], here: Sequence[Site], net: NetInputs
) -> Product:
    """One product per step for all that arrives, where calls cost more than arithmetic.

    Data and a constant 1 are copied beside the states that a step reads, so that the weights of states, of data
    and the biases form one matrix.
    """
    states = states_of(draft, recurrent)
    entries = list(list_weights(draft, recurrent, recurrent.top, 0))
    stop = states.stop
    for box in hoisted:
        data = states_of(draft, box)
        beside = replace(states, start=stop, stop=stop + data.width)
        net.before.append(Compute((Assignment(beside, Load(data)),)))
        entries.extend(list_weights(draft, box, box.top - (stop - recurrent.top), 0))
        stop += data.width
    net.before.extend(_write_ones(draft, replace(states, start=stop, stop=stop + 1)))
    biased = [site for site in here if site.population.bias is not None]
    entries.extend(list_biases(biased, stop - recurrent.top, 0))
    draft.add_columns(states.buffer, stop + 1)
    buffer = draft.net_of(recurrent.connections[0]).buffer
    out = View(buffer, 0, draft.buffers[buffer].width)
    return lower_product(draft, replace(states, stop=stop + 1), out, entries, net)


def multiply(
    draft: Draft, box: Box, biased: Sequence[Site], net: NetInputs
) -> tuple[list[Operation], list[Site]]:
    """A product, and which of these populations' biases it carries, as the weights of a constant 1 beside the data."""
    carried = _find_carried(draft, box, biased)
    states, entries = states_of(draft, box), list(list_weights(draft, box, box.top, box.left))
    operations: list[Operation] = []
    if carried:
        operations.extend(_write_ones(draft, replace(states, start=states.stop, stop=states.stop + 1)))
        entries.extend(list_biases(carried, states.width, box.left))
        states = replace(states, stop=states.stop + 1)
    out = View(draft.net_of(box.connections[0]).buffer, box.left, box.right)
    return [*operations, lower_product(draft, states, out, entries, net)], carried


def _find_carried(draft: Draft, box: Box, biased: Sequence[Site]) -> list[Site]:
    if not biased or not _is_data(draft, box):
        return []
    states, net = states_of(draft, box), draft.net_of(box.connections[0])
    column = draft.ones.get(states.buffer, draft.buffers[states.buffer].width)
    if box.bottom != column:
        return []
    inside = [
        site
        for site in biased
        if site.net is not None and site.net.buffer == net.buffer
        if box.left <= site.net.start and site.net.stop <= box.right
    ]
    if inside and states.buffer not in draft.ones:
        draft.ones[states.buffer] = column
        draft.add_columns(states.buffer, column + 1)
    return inside


def _write_ones(draft: Draft, column: View) -> Iterator[Operation]:
    """Write ones beside data or states, unless an earlier stage reads them at the same delay."""
    if column not in draft.ones_written:
        draft.ones_written.add(column)
        yield Compute((Assignment(column, number(1)),))


def _is_data(draft: Draft, box: Box) -> bool:
    sources = {connection.source for connection in box.connections}
    return sources <= draft.network.given and all(
        isinstance(draft.network.population[name].initial, FrozenArray) for name in sources
    )
