"""Plan with forward sweeps -> Plan with backward sweeps: one rule per operation, walked in reverse.

    forward                          backward
    out (+)= source @ W              source.delta += out.delta @ W.T;  dW += source.T @ out.delta   (once, at the end)
    the same, W sparse               the same, dW at the entries of W alone
    out (+)= f(views, rows)          view.delta += out.delta * df/dview;  drow += sum out.delta * df/drow
    restrain population              the local derivatives of its activation are zero where it was clamped

The local derivatives (slopes) depend on the stacked activities only, so they are computed for the whole sequence
before the backward loop; inside it remain products, and multiplications by slopes. A state that only one activation
reads, in the same step, gets no delta of its own: it is inlined, and its slopes are those of the activation that reads
it (the gates of an LSTM are of this kind).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import (
    Call,
    Expression,
    Leaf,
    Load,
    Number,
    calls,
    divide,
    gradients,
    power,
    substitute,
)
from graphbptt.ir.functions import finite
from graphbptt.ir.losses import resolve_loss
from graphbptt.ir.operations import (
    Assignment,
    Compute,
    Contract,
    Operation,
    Product,
    Reduce,
    Row,
    Silence,
    SparseContract,
    SparseProduct,
    View,
)
from graphbptt.ir.parameters import Use
from graphbptt.ir.plan import Buffer, InitialSite, LossSite, Placement, Plan, Stage, Sweep
from graphbptt.passes.find_learners import Learners, find_learners

__all__ = ["differentiate"]


def differentiate(plan: Plan) -> Plan:
    """Add the backward sweeps, the buffers they need, where losses enter and where initial states' derivatives leave.

    Every delta is added to here; `settle_deltas` finds which additions come first.
    """
    restrained = frozenset(placement.population for placement in plan.placements if placement.restrained)
    learners = find_learners(plan.network, _moments(plan), restrained)
    free = frozenset(group.name for group in plan.network.groups if group.trainable)
    wanted = {buffer: _find_wanted(residents, learners) for buffer, residents in plan.residents.items()}
    reversals = [_Reversal(plan, learners, index, free, wanted) for index in range(len(plan.stages))]
    stages = tuple(reversal.stage() for reversal in reversals)
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
            for name, _ in _activations(plan, operation):
                moments[name] = (plan.placement[name].stage, phase)
    return moments


def _place_losses(plan: Plan) -> tuple[LossSite, ...]:
    sites = []
    for index, target in enumerate(plan.network.targets):
        placement = plan.placement[target.node]
        _, reads = resolve_loss(plan.network, target)
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


@dataclass
class _Reversal:
    """The backward sweep of one stage, while it is being made."""

    plan: Plan
    learners: Learners
    index: int
    free: frozenset[str]
    wanted: Mapping[str, npt.NDArray[np.bool_]]
    mirrors: dict[str, Buffer] = field(default_factory=dict)
    slopes: list[Assignment] = field(default_factory=list)
    saved: dict[str, list[Assignment]] = field(default_factory=dict)
    restrained_slopes: dict[str, list[View]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.source = self.plan.stages[self.index]
        self.members = [self.plan.placement[name] for name in self.source.populations]
        self.live = any(member.population in self.learners.live for member in self.members)
        self.net_owner: dict[Hashable, str] = {m.net: m.population for m in self.members if m.net}
        self.trees: dict[str, dict[Leaf, Expression]] = {}
        if self.live:
            for operation in self.source.forward.operations():
                for name, assignment in _activations(self.plan, operation):
                    self.trees[name] = self.differentiate(name, assignment)
        self.in_place = {name for name in {m.state.buffer for m in self.members} if self.turns_in_place(name)}

    # What the stage becomes.

    def stage(self) -> Stage:
        if not self.live:
            return self.source
        forward = self.source.forward
        scan: list[tuple[int, Operation]] = []
        final: list[Operation] = []
        for phase, operation in reversed(forward.each):
            scan.extend((phase, step) for step in self.reverse(operation, final))
        whole = [step for operation in reversed(forward.before) for step in self.reverse(operation, final)]
        slopes = tuple(self.prepare_slopes())
        if self.source.mode == "batched":
            backward = Sweep((*slopes, *whole), (), tuple(final))
        else:
            backward = Sweep(slopes, tuple(scan), (*whole, *final))
        return replace(self.source, forward=self.save(forward), backward=backward)

    def prepare_slopes(self) -> Iterator[Operation]:
        """Compute the stored slopes, and make them zero where no derivative passes."""
        if self.slopes:
            yield Compute(tuple(self.slopes))
            yield Silence(tuple(slope.out for slope in self.slopes))
        for name, views in self.restrained_slopes.items():
            yield Silence(tuple(views), name)

    def buffers(self) -> Iterator[Buffer]:
        deltas = {m.state.buffer for m in self.members if self.learners.has_delta(m.population)}
        for name in sorted(deltas):
            yield replace(self.plan.buffer[name], name=_delta_name(name))
        for name in sorted({member.net.buffer for member in self.members if member.net}):
            if self.live and _states_of(name) not in self.in_place:
                yield replace(self.plan.buffer[name], name=_delta_name(name))
        yield from self.mirrors.values()

    def mirror(self, kind: str, name: str) -> View:
        """The columns of a buffer laid out like that of a population's states, without rows around the steps."""
        state = self.plan.placement[name].state
        view = replace(state, buffer=state.buffer.replace("state", kind), shift=0)
        states = self.plan.buffer[state.buffer]
        self.mirrors.setdefault(view.buffer, Buffer(view.buffer, states.width, lanes=states.lanes))
        return view

    def placements(self) -> dict[str, Placement]:
        return {
            member.population: replace(
                member,
                delta=_delta(member.state) if self.learners.has_delta(member.population) else None,
                net_delta=self.net_delta(member.net) if self.live and member.net else None,
            )
            for member in self.members
        }

    def net_delta(self, net: View) -> View:
        states = _states_of(net.buffer)
        return replace(net, buffer=_delta_name(states if states in self.in_place else net.buffer))

    def turns_in_place(self, states: str) -> bool:
        """Whether the derivatives by the states turn into those by the net inputs where they are.

        They do if nothing but the net input needs them. Padding and clamps leave some of them to the initial state, and
        a loss on the net input would be turned with them, so neither may be there.
        """
        residents = self.plan.residents[states]
        return self.plan.buffer[states].width == sum(resident.state.width for resident in residents) and all(
            resident.net == replace(resident.state, buffer=_nets_of(states))
            and list(tree := self.trees.get(resident.population, {})) == [Load(resident.net)]
            and tree[Load(resident.net)] != Number(0)
            and self.learners.has_delta(resident.population)
            and not resident.restrained
            and resident.population not in self.learners.net_losses
            for resident in residents
        )

    # Local derivatives.

    def differentiate(self, name: str, assignment: Assignment) -> dict[Leaf, Expression]:
        """The derivatives of a state by the leaves of its activation, those of inlined states in place of the states.

        They are written in values the forward sweep keeps: the state itself, and costly sub-expressions.
        """
        expression = assignment.expression
        partials = gradients(expression)
        known: dict[Expression, Expression] = (
            {expression: Load(assignment.out)} if isinstance(expression, Call) else {}
        )
        for part in reversed(calls([expression])[:-1]):
            now = [substitute(partial, known) for partial in partials.values()]
            if part.function.costly and part in calls(now):
                known[part] = Load(self.keep(name, part))
        tree: dict[Leaf, Expression] = {}
        for leaf, partial in partials.items():
            slope = substitute(partial, known)
            for inner, inner_slope in self.inline(name, leaf).items():
                tree[inner] = tree[inner] + slope * inner_slope if inner in tree else slope * inner_slope
        return tree

    def inline(self, name: str, leaf: Leaf) -> dict[Leaf, Expression]:
        source = (
            self.plan.owner.get(leaf.slot) if isinstance(leaf, Load) and isinstance(leaf.slot, View) else None
        )
        if source is not None and self.learners.inlined.get(source) == name:
            return self.trees[source]
        return {leaf: Number(1)}

    def keep(self, name: str, part: Expression) -> View:
        kept = self.saved.setdefault(name, [])
        view = self.mirror(f"saved{len(kept)}_", name)
        kept.insert(0, Assignment(view, part))
        return view

    def save(self, sweep: Sweep) -> Sweep:
        """The forward sweep, which now also stores what the slopes need again."""

        return Sweep(
            tuple(part for operation in sweep.before for part in self.save_parts(operation)),
            tuple((phase, part) for phase, operation in sweep.each for part in self.save_parts(operation)),
            sweep.after,
        )

    def save_parts(self, operation: Operation) -> Iterator[Operation]:
        """First what is kept, innermost first, then the operation in terms of it."""
        kept = [part for name, _ in _activations(self.plan, operation) for part in self.saved.get(name, ())]
        loads: dict[Expression, Expression] = {}
        for part in kept:
            yield Compute((replace(part, expression=substitute(part.expression, loads)),))
            loads[part.expression] = Load(part.out)
        if loads and isinstance(operation, Compute):
            operation = Compute(
                tuple(
                    replace(item, expression=substitute(item.expression, loads))
                    for item in operation.assignments
                )
            )
        yield operation

    def slope(self, name: str | None, leaf: Load, partial: Expression) -> Expression:
        """A local derivative as something the loop can load: a stored view where it is more than a number or a state.

        Those of a restrained population are all stored, since they must be zero where its states were set.
        """
        if name is None:
            return partial
        restrained = self.plan.placement[name].restrained
        plain = isinstance(partial, Number) or (isinstance(partial, Load) and _is_state(partial.slot))
        if plain and not restrained:
            return partial
        if leaf.slot in self.net_owner:
            view = self.net_slope(leaf.slot)
        else:
            order = list(self.trees[name]).index(leaf)
            view = self.mirror(f"slope{order}_", name)
        if any(call.function in (divide, power) for call in calls([partial])):
            partial = finite(partial)
        self.slopes.append(Assignment(view, partial))
        if restrained:
            self.restrained_slopes.setdefault(name, []).append(view)
        return Load(view)

    def net_slope(self, net: Hashable) -> View:
        """Where the slope by a net input is kept: where it turns into the delta, unless something is there already."""
        owner = self.net_owner[net]
        if (
            not isinstance(net, View)
            or owner in self.learners.net_losses
            or _states_of(net.buffer) in self.in_place
        ):
            return self.mirror("slope_", owner)
        return self.net_delta(net)

    # Rules, one for each forward operation.

    def reverse(self, operation: Operation, final: list[Operation]) -> Iterator[Operation]:
        """The steps that carry deltas back through one operation; what can wait until the end goes to `final`."""
        if isinstance(operation, Product):
            yield from self.reverse_product(operation, final)
        elif isinstance(operation, SparseProduct):
            yield from self.reverse_sparse_product(operation, final)
        elif isinstance(operation, Compute):
            steps = [step for item in operation.assignments for step in self.reverse_assignment(item, final)]
            if steps:
                yield Compute(tuple(steps))

    def reverse_product(self, product: Product, final: list[Operation]) -> Iterator[Operation]:
        out = self.net_delta(product.out)
        entries = self.plan.matrix[product.matrix].entries
        if any(entry.use is not None and entry.use.group in self.free for entry in entries):
            final.append(Contract(product.matrix, product.source, out))
        if self.is_wanted(product.source):
            # What lies beside the states, data and ones, has no derivative.
            stop = len(self.wanted[product.source.buffer])
            source = replace(product.source, stop=min(product.source.stop, stop))
            yield Product(_delta(source), out, product.matrix, transposed=True, accumulate=True)

    def reverse_sparse_product(self, product: SparseProduct, final: list[Operation]) -> Iterator[Operation]:
        out = self.net_delta(product.out)
        if self.plan.block[product.block].use.group in self.free:
            final.append(SparseContract(product.block, product.source, out))
        if self.is_wanted(product.source):
            yield SparseProduct(_delta(product.source), out, product.block, transposed=True, accumulate=True)

    def reverse_assignment(self, assignment: Assignment, final: list[Operation]) -> Iterator[Assignment]:
        name = self.plan.owner.get(assignment.out)
        if name is None and not assignment.out.buffer.startswith("net"):
            return  # data beside the states
        if name is None:
            arriving, partials = Load(self.net_delta(assignment.out)), gradients(assignment.expression)
        elif self.learners.has_delta(name):
            arriving, partials = Load(_delta(assignment.out)), self.trees[name]
        else:
            return
        for leaf, partial in partials.items():
            if not isinstance(leaf, Load) or partial == Number(0):
                continue
            slot = leaf.slot
            if isinstance(slot, Row):
                if self.is_free(slot):
                    final.append(Reduce(slot, arriving * self.slope(name, leaf, partial)))
            elif slot in self.net_owner and isinstance(slot, View):
                step = Assignment(self.net_delta(slot), arriving * self.slope(name, leaf, partial))
                if step.expression != Load(step.out):
                    yield step
            elif isinstance(slot, View) and self.is_wanted(slot):
                step = Assignment(_delta(slot), arriving * self.slope(name, leaf, partial), accumulate=True)
                if self.plan.residents[slot.buffer][0].stage == self.index:
                    yield step
                else:
                    final.append(Compute((step,)))

    def is_wanted(self, source: View) -> bool:
        """Whether a derivative by any state in these columns is kept."""
        return bool(self.wanted[source.buffer][source.start : source.stop].any())

    def is_free(self, row: Row) -> bool:
        value = self.plan.row_value[row]
        return isinstance(value, Use) and value.group in self.free


def _activations(plan: Plan, operation: Operation) -> Iterator[tuple[str, Assignment]]:
    """The populations an operation computes, each with its assignment."""
    if isinstance(operation, Compute):
        for assignment in operation.assignments:
            if (name := plan.owner.get(assignment.out)) is not None:
                yield name, assignment


def _delta(state: View) -> View:
    return replace(state, buffer=_delta_name(state.buffer))


def _states_of(net: str) -> str:
    """The buffer of the states that a buffer of net inputs leads to."""
    return net.replace("net", "state")


def _nets_of(states: str) -> str:
    return states.replace("state", "net")


def _delta_name(buffer: str) -> str:
    """The buffer of derivatives by the states, or by the net inputs, of another."""
    return buffer.replace("state", "delta").replace("net", "netdelta")


def _is_state(slot: object) -> bool:
    return isinstance(slot, View) and slot.buffer.startswith(("state", "saved"))
