"""The backward sweep of one stage while it is made: where derivatives go, and the slopes they are multiplied by."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from graphbptt.ir.expression import Expression, Leaf, Load, Number, calls, divide, power
from graphbptt.ir.functions import finite
from graphbptt.ir.operations import Assignment, Compute, Operation, Row, Silence, View
from graphbptt.ir.parameters import Use
from graphbptt.ir.plan import Buffer, Placement, Plan
from graphbptt.passes.find_learners import Learners
from graphbptt.passes.lowering.slopes import Slopes, list_activations

__all__ = ["Reversal"]


@dataclass
class Reversal:
    """What the rules of a stage's operations need to know.

    `free` are the trainable groups; `wanted` says by which columns of each buffer of states a derivative is kept, what
    lies beside the states left out. `stored` are the slopes that are computed before the backward loop,
    `restrained_slopes` those of populations whose states are set in places.
    """

    plan: Plan
    learners: Learners
    index: int
    free: frozenset[str]
    wanted: Mapping[str, npt.NDArray[np.bool_]]
    stored: list[Assignment] = field(default_factory=list)
    restrained_slopes: dict[str, list[View]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        stage = self.plan.stages[self.index]
        self.members = [self.plan.placement[name] for name in stage.populations]
        self.live = any(member.population in self.learners.live for member in self.members)
        self.net_owner: dict[Hashable, str] = {m.net: m.population for m in self.members if m.net}
        self.states_of = {member.net.buffer: member.state.buffer for member in self.members if member.net}
        self.slopes = Slopes(self.plan, self.learners)
        if self.live:
            for operation in stage.forward.operations():
                for name, assignment in list_activations(self.plan, operation):
                    self.slopes.differentiate(name, assignment)
        self.in_place = {
            name for name in {m.state.buffer for m in self.members} if self._turns_in_place(name)
        }

    @property
    def trees(self) -> Mapping[str, Mapping[Leaf, Expression]]:
        return self.slopes.trees

    # Where derivatives go.

    def delta(self, state: View) -> View:
        """The derivative by some states."""
        return replace(state, buffer=self.plan.buffer[state.buffer].mirror("delta").name)

    def net_delta(self, net: View) -> View:
        """The derivative by some net inputs of the stage."""
        states = self.states_of[net.buffer]
        if states in self.in_place:
            return replace(net, buffer=self.plan.buffer[states].mirror("delta").name)
        return replace(net, buffer=self.plan.buffer[net.buffer].mirror("netdelta").name)

    def is_wanted(self, source: View) -> bool:
        """Whether a derivative by any state in these columns is kept."""
        return bool(self.wanted[source.buffer][source.start : source.stop].any())

    def is_free(self, row: Row) -> bool:
        value = self.plan.row_value[row]
        return isinstance(value, Use) and value.group in self.free

    def buffers(self) -> Iterator[Buffer]:
        """The buffers of deltas and slopes that the stage adds."""
        deltas = {m.state.buffer for m in self.members if self.learners.has_delta(m.population)}
        for name in sorted(deltas):
            yield self.plan.buffer[name].mirror("delta")
        for name in sorted(self.states_of):
            if self.live and self.states_of[name] not in self.in_place:
                yield self.plan.buffer[name].mirror("netdelta")
        yield from self.slopes.mirrors.values()

    def placements(self) -> dict[str, Placement]:
        return {
            member.population: replace(
                member,
                delta=self.delta(member.state) if self.learners.has_delta(member.population) else None,
                net_delta=self.net_delta(member.net) if self.live and member.net else None,
            )
            for member in self.members
        }

    def _turns_in_place(self, states: str) -> bool:
        """Whether the derivatives by the states turn into those by the net inputs where they are.

        They do if nothing but the net input needs them. Padding and clamps leave some of them to the initial state, and
        a loss on the net input would be turned with them, so neither may be there.
        """
        residents = self.plan.residents[states]
        return self.plan.buffer[states].width == sum(resident.state.width for resident in residents) and all(
            resident.net is not None
            and (resident.net.start, resident.net.stop) == (resident.state.start, resident.state.stop)
            and list(tree := self.trees.get(resident.population, {})) == [Load(resident.net)]
            and tree[Load(resident.net)] != Number(0)
            and self.learners.has_delta(resident.population)
            and not resident.restrained
            and resident.population not in self.learners.net_losses
            for resident in residents
        )

    # Slopes.

    def slope(self, name: str | None, leaf: Load, partial: Expression) -> Expression:
        """A local derivative as something the loop can load: a stored view where it is more than a number or a state.

        Those of a restrained population are all stored, since they must be zero where its states were set.
        """
        if name is None:
            return partial
        plain = isinstance(partial, Number) or (isinstance(partial, Load) and self._is_kept(partial.slot))
        if plain and not self.plan.placement[name].restrained:
            return partial
        if leaf.slot in self.net_owner:
            view = self._net_slope(leaf.slot)
        else:
            order = list(self.trees[name]).index(leaf)
            view = self.slopes.mirror("slope", f"{order}_", name)
        if any(call.function in (divide, power) for call in calls([partial])):
            partial = finite(partial)
        return self.store(name, view, partial)

    def store(self, name: str, view: View, partial: Expression) -> Load:
        """Compute a slope before the loop."""
        self.stored.append(Assignment(view, partial))
        if self.plan.placement[name].restrained:
            self.restrained_slopes.setdefault(name, []).append(view)
        return Load(view)

    def prepare_slopes(self) -> Iterator[Operation]:
        """Compute the stored slopes, and make them zero where no derivative passes."""
        if self.stored:
            yield Compute(tuple(self.stored))
            yield Silence(tuple(slope.out for slope in self.stored))
        for name, views in self.restrained_slopes.items():
            yield Silence(tuple(views), name)

    def _net_slope(self, net: Hashable) -> View:
        """Where the slope by a net input is kept: where it turns into the delta, unless something is there already."""
        owner = self.net_owner[net]
        if (
            not isinstance(net, View)
            or owner in self.learners.net_losses
            or self.states_of[net.buffer] in self.in_place
        ):
            return self.slopes.mirror("slope", "_", owner)
        return self.net_delta(net)

    def _is_kept(self, slot: Hashable) -> bool:
        """Whether a slot holds values of the forward sweep, which are there for the whole sequence."""
        if not isinstance(slot, View):
            return False
        buffer = self.plan.buffer.get(slot.buffer) or self.slopes.mirrors[slot.buffer]
        return buffer.kind in ("state", "saved")
