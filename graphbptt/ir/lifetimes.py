"""How long what a plan computes is needed: which buffers have no memory of their own, or only for a block of steps."""

from __future__ import annotations

from graphbptt.ir.expression import Load, Number
from graphbptt.ir.operations import Compute, Operation, View, views_of
from graphbptt.ir.plan import Plan

__all__ = ["find_passing", "find_same", "is_beside_states", "is_written_once"]


def find_same(plan: Plan) -> dict[str, str]:
    """Buffers of net inputs whose memory is that of the states, which are a plain copy of them."""
    same: dict[str, str] = {}
    for stage in plan.stages:
        for operation in stage.forward.before if stage.mode == "batched" else ():
            for item in operation.assignments if isinstance(operation, Compute) else ():
                slot = item.expression.slot if isinstance(item.expression, Load) else None
                if (
                    isinstance(slot, View)
                    and plan.buffer[slot.buffer].kind == "net"
                    and item.out in plan.owner
                ):
                    same[slot.buffer] = item.out.buffer
    return same


def find_passing(plan: Plan) -> dict[str, int]:
    """Buffers of net inputs and slopes that nothing reads after the block of steps in which they are computed, each
    with the only stage that uses it: these have memory for one block."""
    users: dict[str, set[tuple[int, str]]] = {}
    for index, stage in enumerate(plan.stages):
        lagging = any(phase for phase, _ in stage.forward.each)
        for direction, sweep in (("forward", stage.forward), ("backward", stage.backward)):
            within = "later" if lagging else direction
            parts = (
                (sweep.before, within),
                ([operation for _, operation in sweep.each], within),
                (sweep.after, "later"),
            )
            for operations, when in parts:
                for buffer in {view.buffer for operation in operations for view in views_of(operation)}:
                    users.setdefault(buffer, set()).add((index, when))
    for site in plan.losses:
        users.setdefault(site.predicted.buffer, set()).add((-1, "later"))
    same = find_same(plan)
    return {
        name: index
        for name, uses in users.items()
        for index, when in uses
        if plan.buffer[name].kind in ("net", "slope") and len(uses) == 1 and when != "later"
        if name not in same
    }


def is_beside_states(plan: Plan, view: View) -> bool:
    """Whether columns of a buffer of states lie beside the states, where they belong to no population."""
    residents = plan.residents.get(view.buffer, ())
    return bool(residents) and all(view.start >= resident.state.stop for resident in residents)


def is_written_once(plan: Plan, operation: Operation) -> bool:
    """Whether it writes constants to columns that nothing else writes: once, not for every sequence."""
    return isinstance(operation, Compute) and all(
        isinstance(item.expression, Number) and is_beside_states(plan, item.out)
        for item in operation.assignments
    )
