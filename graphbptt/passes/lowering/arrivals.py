"""When what arrives at a stage is computed: for whole sequences before its loop, or at a place inside it."""

from __future__ import annotations

from itertools import chain

from graphbptt.ir.folded import Connection
from graphbptt.ir.schedule import Component
from graphbptt.passes.lowering.draft import Draft
from graphbptt.passes.merge_products import Box, merge_boxes

__all__ = ["WHOLE", "Arrivals", "Moment", "list_arrivals"]

Moment = tuple[str, int, int]
"""When something arrives: ("whole", 0, 0) before the loop, ("early", phase, 0) at the start of an iteration, or
("level", phase, level) just before the populations of that level are computed."""

WHOLE: Moment = ("whole", 0, 0)

Arrivals = dict[Moment, list[Box | Connection]]
"""Merged products, and connections that are diagonal or kept as entries by themselves."""


def list_arrivals(draft: Draft, component: Component) -> Arrivals:
    """What arrives when at the populations of a component."""
    boxes: dict[tuple[Moment, str, str, int], list[Box]] = {}
    arrivals: Arrivals = {}
    for connection in chain.from_iterable(draft.inbound.get(node.population, ()) for node in component.nodes):
        moment = _find_moment(draft, connection, component)
        if connection.pointwise or connection.name in draft.in_rows:
            arrivals.setdefault(moment, []).append(connection)
            continue
        source, net = draft.sites[connection.source].state.buffer, draft.net_of(connection)
        key = moment, source, net.buffer, connection.delay
        boxes.setdefault(key, []).append(_draw_box(draft, connection))
    for (moment, *_), group in boxes.items():
        merged = merge_boxes(group, "whole" if moment[0] == "whole" else "each")
        arrivals.setdefault(moment, [])[:0] = merged
    return arrivals


def _find_moment(draft: Draft, connection: Connection, component: Component) -> Moment:
    source, target = draft.sites[connection.source], draft.sites[connection.target]
    if source.stage != target.stage:
        return WHOLE
    delay = connection.delay if component.mode == "forward" else -connection.delay
    if delay + target.phase - source.phase > 0:
        return ("early", target.phase, 0)
    return ("level", target.phase, target.level)


def _draw_box(draft: Draft, connection: Connection) -> Box:
    """The product of one connection alone; into lanes it is as wide as the lane."""
    rows, columns = draft.extent(connection)
    net = draft.net_of(connection)
    if draft.buffers[net.buffer].lanes > 1:
        columns = range(net.start, net.stop)
    return Box(min(rows), max(rows) + 1, min(columns), max(columns) + 1, (connection,))
