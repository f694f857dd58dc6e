"""Damage to plans: one part changed, one operation edited, dropped or repeated; verifiers have to find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from graphbptt.ir.operations import Operation
from graphbptt.ir.plan import Plan, Sweep

__all__ = ["Damage", "drop", "edit", "first", "in_sweep", "put", "swap", "twice"]

Damage = Callable[[Plan], Plan]


def swap(kind: str, change: Callable[[Any], Any], index: int = 0) -> Damage:
    """One of the plan's parts changed."""

    def apply(plan: Plan) -> Plan:
        parts = list(getattr(plan, kind))
        parts[index] = change(parts[index])
        return replace(plan, **{kind: tuple(parts)})

    return apply


def put(kind: str, index: int = 0, /, **changes: Any) -> Damage:
    return swap(kind, lambda part: replace(part, **changes), index)


def in_sweep(stage: int, direction: str, change: Callable[[Operation], list[Operation]]) -> Damage:
    """Every operation of a sweep replaced by some, or none."""

    def walk(sweep: Sweep) -> Sweep:
        return Sweep(
            tuple(new for item in sweep.before for new in change(item)),
            tuple((phase, new) for phase, item in sweep.each for new in change(item)),
            tuple(new for item in sweep.after for new in change(item)),
        )

    return swap("stages", lambda part: replace(part, **{direction: walk(getattr(part, direction))}), stage)


def first(kind: type, change: Callable[[Any], list[Operation]], stage: int, direction: str) -> Damage:
    """The first operation of a kind replaced."""

    def apply(plan: Plan) -> Plan:
        chosen = next(
            item for item in getattr(plan.stages[stage], direction).operations() if isinstance(item, kind)
        )
        return in_sweep(stage, direction, lambda item: change(item) if item is chosen else [item])(plan)

    return apply


def edit(kind: type, stage: int, direction: str, /, **changes: Any) -> Damage:
    return first(kind, lambda item: [replace(item, **changes)], stage, direction)


def drop(kind: type, stage: int, direction: str) -> Damage:
    return in_sweep(stage, direction, lambda item: [] if isinstance(item, kind) else [item])


def twice(kind: type, stage: int, direction: str) -> Damage:
    return first(kind, lambda item: [item, item], stage, direction)
