"""FoldedNetwork, Schedule -> Plan with forward sweeps.

What arrives from an earlier stage is hoisted out of the loop: one product for the whole sequence. What arrives from
the stage itself is computed step by step, delayed reads first, then level by level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from graphbptt.ir.expression import Coefficient, Expression, Load, Net, State, leaves, number, substitute
from graphbptt.ir.folded import Connection, FoldedNetwork
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.operations import (
    Assignment,
    Compute,
    Operation,
    Perturb,
    Product,
    Restrain,
    Row,
    SparseProduct,
    View,
    find_runs,
)
from graphbptt.ir.parameters import FrozenArray, Use
from graphbptt.ir.plan import (
    Buffer,
    Matrix,
    MatrixEntry,
    Placement,
    Plan,
    RowEntry,
    Selection,
    SparseBlock,
    Stage,
    Sweep,
)
from graphbptt.ir.schedule import Component, Schedule
from graphbptt.passes.choose_storage import choose_storage, list_sparse
from graphbptt.passes.merge_products import Box, merge_boxes, pays_to_join
from graphbptt.passes.place_buffers import Site, place_buffers

__all__ = ["lower_forward"]

Moment = tuple[str, int, int]
"""When something arrives: ("whole", 0, 0) before the loop, ("early", phase, 0) at the start of an iteration, or
("level", phase, level) just before the populations of that level are computed."""

WHOLE: Moment = ("whole", 0, 0)


def lower_forward(network: FoldedNetwork, layout: ParameterLayout, schedule: Schedule) -> Plan:
    """Make the forward sweeps of every stage; the backward sweeps stay empty until `differentiate`."""
    sites, buffers = place_buffers(network, schedule)
    storages = {connection.name: choose_storage(network, connection) for connection in list_sparse(network)}
    lowering = _Lowering(
        network,
        sites,
        _find_restrained(network),
        {buffer.name: buffer for buffer in buffers},
        frozenset(name for name, choice in storages.items() if choice.storage == "csr"),
    )
    stages = tuple(lowering.stage(component) for component in schedule)
    placements = tuple(
        Placement(name, site.stage, site.state, site.net, None, None, name in lowering.restrained)
        for name, site in sites.items()
    )
    return Plan(
        network,
        layout,
        tuple(lowering.buffers.values()),
        tuple(lowering.vector),
        tuple(lowering.matrices),
        placements,
        stages,
        losses=(),
        initials=(),
        clear=(),
        blocks=tuple(lowering.blocks),
        storages=tuple(storages.values()),
    )


def _find_restrained(network: FoldedNetwork) -> frozenset[str]:
    """Populations some of whose states are set, not computed, and still read: partly clamped ones, and those that are
    read ahead, behind the end of a sequence."""
    clamped = {clamp.node for clamp in network.clamps if clamp.at != "start"}
    ahead = {edge.source for edge in network.edges if edge.delay < 0}
    return frozenset(clamped | ahead) - network.given


@dataclass
class _Lowering:
    """The packed vector, the matrices and the columns of ones beside data, as they grow stage by stage.

    The sparse connections in `in_rows` become blocks of entries instead of a part of a matrix.
    """

    network: FoldedNetwork
    sites: dict[str, Site]
    restrained: frozenset[str]
    buffers: dict[str, Buffer]
    in_rows: frozenset[str]
    blocks: list[SparseBlock] = field(default_factory=list)
    vector: list[RowEntry] = field(default_factory=list)
    matrices: list[Matrix] = field(default_factory=list)
    ones: dict[str, int] = field(default_factory=dict)
    ones_written: set[View] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.inbound: dict[str, list[Connection]] = {}
        for connection in self.network.connections:
            self.inbound.setdefault(connection.target, []).append(connection)

    def stage(self, component: Component) -> Stage:
        names = tuple(node.population for node in component.nodes)
        if component.mode == "given":
            return Stage("given", names, Sweep(), Sweep())
        here = sorted(
            (self.sites[name] for name in names), key=lambda site: (site.level, site.phase, site.state.start)
        )
        net = _NetInputs(here)
        arrivals = self.arrivals(component)
        steps: list[tuple[int, Operation]] = []
        joint = self.find_joint(arrivals, here)
        if joint is not None:
            arrivals = {}
            steps.append((0, self.join(*joint, here, net)))
        else:
            biased = [site for site in here if site.population.bias is not None]
            for item in arrivals.pop(WHOLE, []):
                carried = self.carry_biases(item, biased)
                net.before.extend(self.arrive(item, net, carried))
                biased = [site for site in biased if site not in carried]
            biases = tuple(self.bias(site, net) for site in biased)
            net.before.extend([Compute(biases)] if biases else [])
            net.before.extend(self.perturb(site, net) for site in here if site.population.noise)
        for moment in sorted(moment for moment in arrivals if moment[0] == "early"):
            steps.extend(
                (moment[1], operation) for item in arrivals[moment] for operation in self.arrive(item, net)
            )
        for level, phase in sorted({(site.level, site.phase) for site in here}):
            peers = [site for site in here if (site.level, site.phase) == (level, phase)]
            for item in arrivals.get(("level", phase, level), []):
                steps.extend((phase, operation) for operation in self.arrive(item, net))
            steps.append((phase, Compute(tuple(self.activate(site) for site in peers))))
            restrained = (site.population.name for site in peers if site.population.name in self.restrained)
            steps.extend((phase, Restrain(name)) for name in restrained)
        net.before.extend(net.clear_rest())
        if component.mode == "batched":
            return Stage("batched", names, Sweep((*net.before, *(op for _, op in steps))), Sweep())
        return Stage(component.mode, names, Sweep(tuple(net.before), tuple(steps)), Sweep())

    def bias(self, site: Site, net: _NetInputs) -> Assignment:
        if site.net is None or site.population.bias is None:
            raise AssertionError(f"{site.population.name} has no bias")
        row = self.row(_scale(site.population.bias, site.net_scale), site.net.width)
        return Assignment(site.net, row, net.claim(site.net))

    def perturb(self, site: Site, net: _NetInputs) -> Perturb:
        if site.net is None:
            raise AssertionError(f"{site.population.name} has noise but no net input")
        scale = site.population.noise * site.net_scale
        return Perturb(site.net, site.population.name, scale, net.claim(site.net))

    def arrivals(self, component: Component) -> dict[Moment, list[Box | Connection]]:
        """What arrives when: merged products, and connections that are diagonal or kept as entries by themselves."""
        boxes: dict[tuple[Moment, str, str, int], list[Box]] = {}
        arrivals: dict[Moment, list[Box | Connection]] = {}
        for connection in chain.from_iterable(
            self.inbound.get(node.population, ()) for node in component.nodes
        ):
            moment = self.moment(connection, component)
            if connection.pointwise or connection.name in self.in_rows:
                arrivals.setdefault(moment, []).append(connection)
                continue
            source, net = self.sites[connection.source].state.buffer, self.net_of(connection)
            boxes.setdefault((moment, source, net.buffer, connection.delay), []).append(self.box(connection))
        for (moment, *_), group in boxes.items():
            merged = merge_boxes(group, "whole" if moment[0] == "whole" else "each")
            arrivals.setdefault(moment, [])[:0] = merged
        return arrivals

    def find_joint(
        self, arrivals: Mapping[Moment, Sequence[Box | Connection]], here: Sequence[Site]
    ) -> tuple[Box, list[Box]] | None:
        """The loop's only product and the hoisted ones that should join it; None where they should not.

        Only data can be joined: no derivative passes to it. Noise is in the net input before the loop, so the
        addition per step that joining spares is made there anyway.
        """
        if any(site.population.noise for site in here):
            return None
        inside = [item for moment, items in arrivals.items() if moment != WHOLE for item in items]
        hoisted = [item for item in arrivals.get(WHOLE, []) if isinstance(item, Box) and self.is_data(item)]
        lone = len(inside) == 1 and ("early", 0, 0) in arrivals and not any(site.phase for site in here)
        if not lone or not isinstance(inside[0], Box) or len(hoisted) < len(arrivals.get(WHOLE, [])):
            return None
        nets = {site.net.buffer for site in here if site.net is not None}
        width = sum(self.buffers[name].width for name in nets)
        last = inside[0].bottom == self.buffers[self.states_of(inside[0]).buffer].width
        pays = len(nets) == 1 and last and pays_to_join(hoisted, width)
        return (inside[0], hoisted) if pays else None

    def states_of(self, box: Box) -> View:
        """The states a product reads, at the step it reads them."""
        first = box.connections[0]
        return View(self.sites[first.source].state.buffer, box.top, box.bottom, -first.delay)

    def is_data(self, box: Box) -> bool:
        sources = {connection.source for connection in box.connections}
        return sources <= self.network.given and all(
            isinstance(self.network.population[name].initial, FrozenArray) for name in sources
        )

    def join(self, recurrent: Box, hoisted: Sequence[Box], here: Sequence[Site], net: _NetInputs) -> Product:
        """One product per step for all that arrives, where calls cost more than arithmetic.

        Data and a constant 1 are copied beside the states that a step reads, so that the weights of states, of data
        and the biases form one matrix.
        """
        states = self.states_of(recurrent)
        entries = [self.entry(connection, recurrent.top, 0) for connection in recurrent.connections]
        stop = states.stop
        for box in hoisted:
            data = self.states_of(box)
            net.before.append(
                Compute((Assignment(replace(states, start=stop, stop=stop + data.width), Load(data)),))
            )
            entries.extend(
                self.entry(connection, box.top - (stop - recurrent.top), 0) for connection in box.connections
            )
            stop += data.width
        net.before.extend(self.constant_one(replace(states, start=stop, stop=stop + 1)))
        biased = [site for site in here if site.population.bias is not None]
        entries.extend(self.bias_entries(biased, stop - recurrent.top, 0))
        self.buffers[states.buffer] = replace(self.buffers[states.buffer], width=stop + 1)
        buffer = self.net_of(recurrent.connections[0]).buffer
        out = View(buffer, 0, self.buffers[buffer].width)
        return self.product(out, replace(states, stop=stop + 1), tuple(entries), net)

    def carry_biases(self, item: Box | Connection, biased: Sequence[Site]) -> list[Site]:
        """The populations whose biases a product of data can carry, as the weights of a constant 1 beside the data."""
        if not isinstance(item, Box) or not self.is_data(item):
            return []
        states, net = self.states_of(item), self.net_of(item.connections[0])
        column = self.ones.get(states.buffer, self.buffers[states.buffer].width)
        if item.bottom != column:
            return []
        inside = [
            site
            for site in biased
            if site.net is not None and site.net.buffer == net.buffer
            if item.left <= site.net.start and site.net.stop <= item.right
        ]
        if inside and states.buffer not in self.ones:
            self.ones[states.buffer] = column
            self.buffers[states.buffer] = replace(self.buffers[states.buffer], width=column + 1)
        return inside

    def constant_one(self, column: View) -> Iterator[Operation]:
        """Write ones beside data or states, unless an earlier stage reads them at the same delay."""
        if column not in self.ones_written:
            self.ones_written.add(column)
            yield Compute((Assignment(column, number(1)),))

    def bias_entries(self, sites: Sequence[Site], row: int, left: int) -> Iterator[MatrixEntry]:
        """Biases as a row of a matrix."""
        for site in sites:
            bias, net = site.population.bias, site.net
            if bias is not None and net is not None:
                columns = range(net.start - left, net.stop - left)
                owner = f"{site.population.name}.bias"
                yield MatrixEntry(owner, _scale(bias, site.net_scale), range(row, row + 1), columns)

    def product(self, out: View, source: View, entries: tuple[MatrixEntry, ...], net: _NetInputs) -> Product:
        name = f"W{len(self.matrices)}"
        self.matrices.append(Matrix(name, source.width, out.width, entries, out.buffer))
        return Product(out, source, name, transposed=False, accumulate=net.claim(out))

    def moment(self, connection: Connection, component: Component) -> Moment:
        source, target = self.sites[connection.source], self.sites[connection.target]
        if source.stage != target.stage:
            return WHOLE
        delay = connection.delay if component.mode == "forward" else -connection.delay
        if delay + target.phase - source.phase > 0:
            return ("early", target.phase, 0)
        return ("level", target.phase, target.level)

    def net_of(self, connection: Connection) -> View:
        net = self.sites[connection.target].net
        if net is None:
            raise AssertionError(f"{connection.name}: its target has no net input")
        return net

    def extent(self, connection: Connection) -> tuple[Selection, Selection]:
        """The columns of the source's state buffer and of the target's net buffer that a connection uses."""
        return (
            _select(self.sites[connection.source].state, connection.from_units),
            _select(self.net_of(connection), connection.to_units),
        )

    def box(self, connection: Connection) -> Box:
        """The product of one connection alone; into lanes it is as wide as the lane."""
        rows, columns = self.extent(connection)
        net = self.net_of(connection)
        if self.buffers[net.buffer].lanes > 1:
            columns = range(net.start, net.stop)
        return Box(min(rows), max(rows) + 1, min(columns), max(columns) + 1, (connection,))

    def arrive(
        self, item: Box | Connection, net: _NetInputs, biased: Sequence[Site] = ()
    ) -> Iterator[Operation]:
        """What computes one arrival, with the biases it carries."""
        if isinstance(item, Connection):
            site = self.sites[item.target]
            if site.net is None:
                raise AssertionError(f"{item.name}: its target has no net input")
            states = replace(self.sites[item.source].state, shift=-item.delay)
            if item.name in self.in_rows:
                yield SparseProduct(site.net, states, self.block(item), False, net.claim(site.net))
                return
            weight = (
                self.row(_scale(item.weight, site.net_scale), site.net.width)
                if item.weight
                else site.net_scale
            )
            yield Compute((Assignment(site.net, weight * Load(states), net.claim(site.net)),))
            return
        entries = [self.entry(connection, item.top, item.left) for connection in item.connections]
        states = self.states_of(item)
        if biased:
            yield from self.constant_one(replace(states, start=states.stop, stop=states.stop + 1))
            entries.extend(self.bias_entries(biased, states.width, item.left))
            states = replace(states, stop=states.stop + 1)
        out = View(self.net_of(item.connections[0]).buffer, item.left, item.right)
        yield self.product(out, states, tuple(entries), net)

    def block(self, connection: Connection) -> str:
        """Keep a connection's weights as entries between the whole source and the whole target."""
        source, target = self.sites[connection.source], self.sites[connection.target]
        if connection.pattern is None or connection.weight is None:
            raise AssertionError(f"{connection.name} is not sparse")
        pattern, order = connection.pattern.place(connection.from_units, connection.to_units)
        use = _scale(connection.weight, target.net_scale)
        if order is not None:
            use = replace(use, index=order if use.index is None else order.follow(use.index))
        name = f"S{len(self.blocks)}"
        block = SparseBlock(name, connection.name, use, source.state.width, target.state.width, pattern)
        self.blocks.append(block)
        return name

    def entry(self, connection: Connection, top: int, left: int) -> MatrixEntry:
        """A connection's place in a matrix whose first row and column are those of the buffers it connects."""
        rows, columns = self.extent(connection)
        scale = self.sites[connection.target].net_scale
        return MatrixEntry(
            connection.name,
            None if connection.weight is None else _scale(connection.weight, scale),
            _shift(rows, -top),
            _shift(columns, -left),
            diagonal=connection.kind not in ("dense", "sparse"),
            constant=scale,
            pattern=connection.pattern,
        )

    def activate(self, site: Site) -> Assignment:
        """``state = activation``, its names replaced by the views and rows that hold their values."""
        population = site.population
        coefficients = dict(population.coefficients)
        loads: dict[Expression, Expression] = {}
        for leaf in leaves(site.activation):
            if isinstance(leaf, Net):
                loads[leaf] = Load(site.net) if site.net is not None else number(0)
            elif isinstance(leaf, State):
                loads[leaf] = Load(replace(self.sites[leaf.node].state, shift=-leaf.delay))
            elif isinstance(leaf, Coefficient):
                loads[leaf] = self.coefficient(coefficients[leaf.name], population.units)
        return Assignment(site.state, substitute(site.activation, loads))

    def coefficient(self, value: Use | FrozenArray, width: int) -> Expression:
        if isinstance(value, FrozenArray) and value.values.ndim == 0:
            return number(float(value.values))
        return self.row(value, width)

    def row(self, value: Use | FrozenArray, width: int) -> Load:
        start = self.vector[-1].row.stop if self.vector else 0
        entry = RowEntry(Row(start, start + width), value)
        self.vector.append(entry)
        return Load(entry.row)


class _NetInputs:
    """Which net inputs of a stage hold something already, and what must happen before the loop."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self.before: list[Operation] = []
        stops: dict[str, int] = {}
        for site in sites:
            if site.net is not None:
                stops[site.net.buffer] = max(site.net.stop, stops.get(site.net.buffer, 0))
        self._written = {name: np.zeros(stop, bool) for name, stop in stops.items()}

    def claim(self, view: View) -> bool:
        """Whether a write to these columns must accumulate; columns nothing has written yet are zeroed if it must."""
        columns = self._written[view.buffer][view.start : view.stop]
        accumulate = bool(columns.any())
        if accumulate and not columns.all():
            self.before[:0] = _zero(view.buffer, view.start, ~columns)
        columns[:] = True
        return accumulate

    def clear_rest(self) -> Iterator[Operation]:
        """Zero the columns at which nothing arrives at all."""
        for name, written in self._written.items():
            yield from _zero(name, 0, ~written)


def _zero(buffer: str, offset: int, flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterator[Operation]:
    for start, stop in find_runs(flags):
        yield Compute((Assignment(View(buffer, offset + start, offset + stop), number(0)),))


def _scale(use: Use, factor: float) -> Use:
    return replace(use, scale=use.scale * factor)


def _select(view: View, units: tuple[int, ...] | None) -> Selection:
    if units is None:
        return range(view.start, view.stop)
    if units == tuple(range(units[0], units[0] + len(units))):
        return range(view.start + units[0], view.start + units[0] + len(units))
    return tuple(view.start + unit for unit in units)


def _shift(selection: Selection, by: int) -> Selection:
    if isinstance(selection, range):
        return range(selection.start + by, selection.stop + by)
    return tuple(index + by for index in selection)
