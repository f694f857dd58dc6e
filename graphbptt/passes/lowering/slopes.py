"""Local derivatives of a stage's activations, in values that the forward sweep keeps.

A state that only one activation reads, in the same step, gets no delta of its own: it is inlined, and its slopes are
those of the activation that reads it (the gates of an LSTM are of this kind).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from graphbptt.ir.expression import Call, Expression, Leaf, Load, Number, calls, gradients, substitute
from graphbptt.ir.operations import Assignment, Compute, Operation, Softmax, View
from graphbptt.ir.plan import Buffer, BufferKind, Plan, Sweep
from graphbptt.passes.find_learners import Learners

__all__ = ["Slopes", "list_activations"]


def list_activations(plan: Plan, operation: Operation) -> Iterator[tuple[str, Assignment]]:
    """The populations an operation computes, each with its assignment."""
    if isinstance(operation, Compute):
        for assignment in operation.assignments:
            if (name := plan.owner.get(assignment.out)) is not None:
                yield name, assignment


@dataclass
class Slopes:
    """The derivatives of each population's state by the leaves of its activation, as expressions: its `trees`.

    `saved` holds what the forward sweep keeps for them, by population, `softmaxes` where it keeps a softmax; `mirrors`
    are the buffers this needs.
    """

    plan: Plan
    learners: Learners
    trees: dict[str, dict[Leaf, Expression]] = field(default_factory=dict)
    saved: dict[str, list[Assignment]] = field(default_factory=dict)
    softmaxes: dict[str, View] = field(default_factory=dict)
    mirrors: dict[str, Buffer] = field(default_factory=dict)

    def mirror(self, kind: BufferKind, label: str, name: str) -> View:
        """The columns of a buffer laid out like that of a population's states, without rows around the steps."""
        state = self.plan.placement[name].state
        mirror = replace(self.plan.buffer[state.buffer].mirror(kind, label), before=0, after=0)
        self.mirrors.setdefault(mirror.name, mirror)
        return replace(state, buffer=mirror.name, shift=0)

    def differentiate(self, name: str, assignment: Assignment) -> None:
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
                known[part] = Load(self._keep(name, part))
        tree: dict[Leaf, Expression] = {}
        for leaf, partial in partials.items():
            slope = substitute(partial, known)
            for inner, inner_slope in self._inline(name, leaf).items():
                tree[inner] = tree[inner] + slope * inner_slope if inner in tree else slope * inner_slope
        self.trees[name] = tree

    def _inline(self, name: str, leaf: Leaf) -> dict[Leaf, Expression]:
        source = (
            self.plan.owner.get(leaf.slot) if isinstance(leaf, Load) and isinstance(leaf.slot, View) else None
        )
        if source is not None and self.learners.inlined.get(source) == name:
            return self.trees[source]
        return {leaf: Number(1)}

    def _keep(self, name: str, part: Expression) -> View:
        kept = self.saved.setdefault(name, [])
        view = self.mirror("saved", f"{len(kept)}_", name)
        kept.insert(0, Assignment(view, part))
        return view

    def keep_softmax(self, name: str) -> View:
        """Where the forward sweep keeps the softmax of a population some of whose states are set."""
        self.softmaxes[name] = self.mirror("saved", "_", name)
        return self.softmaxes[name]

    def save(self, sweep: Sweep) -> Sweep:
        """The forward sweep, which now also stores what the slopes need again."""
        return Sweep(
            tuple(part for operation in sweep.before for part in self._save(operation)),
            tuple((phase, part) for phase, operation in sweep.each for part in self._save(operation)),
            sweep.after,
        )

    def _save(self, operation: Operation) -> Iterator[Operation]:
        """First what is kept, innermost first, then the operation in terms of it."""
        if isinstance(operation, Softmax) and (kept_at := self.softmaxes.get(self.plan.owner[operation.out])):
            yield replace(operation, out=kept_at)
            yield Compute((Assignment(operation.out, Load(kept_at)),))
            return
        kept = [
            part for name, _ in list_activations(self.plan, operation) for part in self.saved.get(name, ())
        ]
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
