"""What every function that is written for a plan looks up in it, found once for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.lifetimes import find_passing, find_same
from graphbptt.ir.plan import Plan
from graphbptt.ir.plan_names import PlanNames

__all__ = ["Lookup", "find_clamped"]


def find_clamped(network: FoldedNetwork) -> frozenset[str]:
    """The populations of which clamps set states at steps, not at the start alone."""
    return frozenset(clamp.node for clamp in network.clamps if clamp.at != "start")


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """A plan, the names of what it computes, and which of its buffers have no memory of their own, or only for a block
    of steps."""

    plan: Plan
    texts: PlanNames
    same: Mapping[str, str]
    passing: Mapping[str, int]

    @staticmethod
    def of(plan: Plan) -> Lookup:
        return Lookup(plan, PlanNames(plan), find_same(plan), find_passing(plan))
