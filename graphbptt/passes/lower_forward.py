"""FoldedNetwork, Schedule -> Plan with forward sweeps.

What arrives from an earlier stage is hoisted out of the loop: one product for the whole sequence. What arrives from
the stage itself is computed step by step, delayed reads first, then level by level. The operations themselves are made
in `graphbptt.passes.lowering`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphbptt.ir.folded import Connection, FoldedNetwork
from graphbptt.ir.functions import is_softmax
from graphbptt.ir.layout import ParameterLayout
from graphbptt.ir.operations import Compute, Operation, Restrain
from graphbptt.ir.plan import Placement, Plan, Stage, Sweep
from graphbptt.ir.schedule import Component, Schedule
from graphbptt.passes.choose_storage import choose_storage, list_sparse
from graphbptt.passes.lowering.arrivals import WHOLE, Arrivals, list_arrivals
from graphbptt.passes.lowering.copies import find_joint, join_products, multiply
from graphbptt.passes.lowering.draft import Draft, NetInputs
from graphbptt.passes.lowering.pointwise import lower_activation, lower_bias, lower_diagonal, lower_noise
from graphbptt.passes.lowering.products import lower_block
from graphbptt.passes.lowering.softmax import lower_softmax
from graphbptt.passes.merge_products import Box
from graphbptt.passes.place_buffers import Site, place_buffers

__all__ = ["lower_forward"]

Timed = tuple[int, Operation]
"""An operation of the loop behind its phase."""


def lower_forward(network: FoldedNetwork, layout: ParameterLayout, schedule: Schedule) -> Plan:
    """Make the forward sweeps of every stage; the backward sweeps stay empty until `differentiate`."""
    sites, buffers = place_buffers(network, schedule)
    storages = {connection.name: choose_storage(network, connection) for connection in list_sparse(network)}
    draft = Draft(
        network,
        sites,
        {buffer.name: buffer for buffer in buffers},
        frozenset(name for name, choice in storages.items() if choice.storage == "csr"),
        _find_restrained(network),
    )
    stages = tuple(_lower_stage(draft, component) for component in schedule)
    placements = tuple(
        Placement(name, site.stage, site.state, site.net, None, None, name in draft.restrained)
        for name, site in sites.items()
    )
    return Plan(
        network,
        layout,
        tuple(draft.buffers.values()),
        tuple(draft.vector),
        tuple(draft.matrices),
        placements,
        stages,
        losses=(),
        initials=(),
        clear=(),
        blocks=tuple(draft.blocks),
        storages=tuple(storages.values()),
    )


def _find_restrained(network: FoldedNetwork) -> frozenset[str]:
    """Populations some of whose states are set, not computed, and still read: partly clamped ones, and those that are
    read ahead, behind the end of a sequence."""
    clamped = {clamp.node for clamp in network.clamps if clamp.at != "start"}
    ahead = {edge.source for edge in network.edges if edge.delay < 0}
    return frozenset(clamped | ahead) - network.given


def _lower_stage(draft: Draft, component: Component) -> Stage:
    names = tuple(node.population for node in component.nodes)
    if component.mode == "given":
        return Stage("given", names, Sweep(), Sweep())
    here = sorted(
        (draft.sites[name] for name in names), key=lambda site: (site.level, site.phase, site.state.start)
    )
    net, arrivals = NetInputs(here), list_arrivals(draft, component)
    joint = find_joint(draft, arrivals, here)
    if joint is not None:
        steps: list[Timed] = [(0, join_products(draft, *joint, here, net)), *_compute(draft, here, {}, net)]
    else:
        _hoist(draft, here, arrivals.pop(WHOLE, []), net)
        steps = [*_arrive_early(draft, arrivals, net), *_compute(draft, here, arrivals, net)]
    net.clear_rest()
    if component.mode == "batched":
        return Stage("batched", names, Sweep((*net.before, *(operation for _, operation in steps))), Sweep())
    return Stage(component.mode, names, Sweep(tuple(net.before), tuple(steps)), Sweep())


def _hoist(draft: Draft, here: Sequence[Site], items: Sequence[Box | Connection], net: NetInputs) -> None:
    """What is computed for the whole sequence before the loop: arrivals from earlier stages, biases, noise."""
    biased = [site for site in here if site.population.bias is not None]
    for item in items:
        if isinstance(item, Box):
            operations, carried = multiply(draft, item, biased, net)
            net.before.extend(operations)
            biased = [site for site in biased if site not in carried]
        else:
            net.before.append(_arrive(draft, item, net))
    biases = tuple(lower_bias(draft, site, net) for site in biased)
    net.before.extend([Compute(biases)] if biases else [])
    net.before.extend(lower_noise(site, net) for site in here if site.population.noise)


def _arrive_early(draft: Draft, arrivals: Arrivals, net: NetInputs) -> Iterator[Timed]:
    """Delayed reads, at the start of an iteration."""
    for moment in sorted(moment for moment in arrivals if moment[0] == "early"):
        for item in arrivals[moment]:
            yield moment[1], _arrive(draft, item, net)


def _compute(draft: Draft, here: Sequence[Site], arrivals: Arrivals, net: NetInputs) -> Iterator[Timed]:
    """The populations of a stage, level by level, each behind what arrives at it."""
    for level, phase in sorted({(site.level, site.phase) for site in here}):
        peers = [site for site in here if (site.level, site.phase) == (level, phase)]
        for item in arrivals.get(("level", phase, level), []):
            yield phase, _arrive(draft, item, net)
        together = [site for site in peers if is_softmax(site.activation)]
        apart = tuple(lower_activation(draft, site) for site in peers if not is_softmax(site.activation))
        if apart:
            yield phase, Compute(apart)
        for site in together:
            yield phase, lower_softmax(site)
        for site in peers:
            if site.population.name in draft.restrained:
                yield phase, Restrain(site.state, site.population.name)


def _arrive(draft: Draft, item: Box | Connection, net: NetInputs) -> Operation:
    """What computes one arrival."""
    if isinstance(item, Box):
        (operation,), _ = multiply(draft, item, (), net)
        return operation
    if item.name in draft.in_rows:
        return lower_block(draft, item, net)
    return lower_diagonal(draft, item, net)
