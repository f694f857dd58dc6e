"""Plan with forward sweeps -> Plan with backward sweeps: one rule per operation, walked in reverse.

The local derivatives (slopes) depend on the stacked activities only, so they are computed for the whole sequence
before the backward loop; inside it remain products, and multiplications by slopes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.ir.losses import resolve_loss
from graphbptt.ir.operations import Compute, Operation, Perturb, Product, Restrain, Softmax
from graphbptt.ir.parameters import Use
from graphbptt.ir.plan import InitialSite, LossSite, Placement, Plan, Stage, Sweep
from graphbptt.passes.find_learners import Learners, find_learners
from graphbptt.passes.lowering.pointwise import reverse_compute
from graphbptt.passes.lowering.products import reverse_product
from graphbptt.passes.lowering.reversal import Reversal
from graphbptt.passes.lowering.softmax import reverse_softmax

__all__ = ["differentiate"]

Rule = Callable[[Reversal, Any, list[Operation]], Iterator[Operation]]
"""The steps that carry deltas back through one operation; what can wait until the end goes to the list."""


def _pass_nothing(_reversal: Reversal, _operation: Operation, _final: list[Operation]) -> Iterator[Operation]:
    """Noise depends on nothing; where states are set, their slopes are zero."""
    return iter(())


RULES: Mapping[type[Operation], Rule] = {
    Compute: reverse_compute,
    Product: reverse_product,
    Softmax: reverse_softmax,
    Perturb: _pass_nothing,
    Restrain: _pass_nothing,
}
"""One rule for each operation of a forward sweep; each stands beside the rule that makes the operation."""


def differentiate(plan: Plan) -> Plan:
    """Add the backward sweeps, the buffers they need, where losses enter and where initial states' derivatives leave.

    Every delta is added to here; `settle_deltas` finds which additions come first.
    """
    restrained = frozenset(placement.population for placement in plan.placements if placement.restrained)
    learners = find_learners(plan.network, _moments(plan), restrained)
    free = frozenset(group.name for group in plan.network.groups if group.trainable)
    wanted = {buffer: _find_wanted(residents, learners) for buffer, residents in plan.residents.items()}
    reversals = [Reversal(plan, learners, index, free, wanted) for index in range(len(plan.stages))]
    stages = tuple(_reverse_stage(reversal) for reversal in reversals)
    placements = {
        name: placement for reversal in reversals for name, placement in reversal.placements().items()
    }
    plan = replace(
        plan,
        buffers=(*plan.buffers, *(buffer for reversal in reversals for buffer in reversal.buffers())),
        placements=tuple(placements[placement.population] for placement in plan.placements),
        stages=stages,
    )
    return replace(plan, losses=_place_losses(plan), initials=_place_initials(plan, free))


def _reverse_stage(reversal: Reversal) -> Stage:
    stage = reversal.plan.stages[reversal.index]
    if not reversal.live:
        return stage
    final: list[Operation] = []

    def reverse(operation: Operation) -> Iterator[Operation]:
        return RULES[type(operation)](reversal, operation, final)

    forward = stage.forward
    scan = [(phase, step) for phase, operation in reversed(forward.each) for step in reverse(operation)]
    whole = [step for operation in reversed(forward.before) for step in reverse(operation)]
    slopes = tuple(reversal.prepare_slopes())
    if stage.mode == "batched":
        backward = Sweep((*slopes, *whole), (), tuple(final))
    else:
        backward = Sweep(slopes, tuple(scan), (*whole, *final))
    return replace(stage, forward=reversal.slopes.save(forward), backward=backward)


def _find_wanted(residents: Sequence[Placement], learners: Learners) -> npt.NDArray[np.bool_]:
    """The columns of a buffer of states by which a derivative is kept; what lies beside the states is left out."""
    columns = np.zeros(max(resident.state.stop for resident in residents), bool)
    for resident in residents:
        columns[resident.state.start : resident.state.stop] = learners.has_delta(resident.population)
    return columns


def _moments(plan: Plan) -> dict[str, tuple[int, int]]:
    """Each population's stage and phase."""
    moments = {placement.population: (placement.stage, 0) for placement in plan.placements}
    for stage in plan.stages:
        for phase, operation in stage.forward.each:
            for write in operation.writes():
                if (name := plan.owner.get(write.view)) is not None:
                    moments[name] = (plan.placement[name].stage, phase)
    return moments


def _place_losses(plan: Plan) -> tuple[LossSite, ...]:
    sites = []
    for index, term in enumerate(plan.network.terms):
        placement = plan.placement[term.node]
        _, reads = resolve_loss(plan.network, term)
        if reads == "net" and placement.net is not None:
            sites.append(LossSite(index, placement.net, placement.net_delta))
        else:
            sites.append(LossSite(index, placement.state, placement.delta))
    return tuple(sites)


def _place_initials(plan: Plan, free: frozenset[str]) -> tuple[InitialSite, ...]:
    return tuple(
        InitialSite(population.name, population.initial, placement.delta)
        for population in plan.network.populations
        if (placement := plan.placement[population.name]).delta is not None
        if isinstance(population.initial, Use) and population.initial.group in free
    )
