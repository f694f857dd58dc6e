"""Small networks as plans, and the operations of a plan as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx

from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import place_parameters
from graphbptt.ir.plan import Plan, Stage
from graphbptt.passes.differentiate import differentiate
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.passes.lower_forward import lower_forward
from graphbptt.passes.schedule_stages import schedule_stages
from graphbptt.passes.settle_deltas import settle_deltas

__all__ = ["draw", "list_backward", "list_forward", "lower", "settle", "stage_of"]

Edge = tuple[str, str, int] | tuple[str, str, int, dict[str, Any]]


def draw(
    nodes: dict[str, dict[str, Any]],
    *edges: Edge,
    clamps: Sequence[Clamp | str] = (),
    targets: Sequence[Target | str] = (),
) -> FoldedNetwork:
    """A network; a clamp or a target that is a name takes the field of that name, at every step."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for name, attributes in nodes.items():
        graph.add_node(name, **attributes)
    for source, target, delay, *more in edges:
        graph.add_edge(source, target, delay=delay, **(more[0] if more else {}))
    return fold_graph(
        graph,
        [Clamp(clamp, clamp) if isinstance(clamp, str) else clamp for clamp in clamps],
        [Target(target, target) if isinstance(target, str) else target for target in targets],
    )


def lower(network: FoldedNetwork) -> Plan:
    """The plan with its forward sweeps."""
    return lower_forward(network, place_parameters(network), schedule_stages(network))


def settle(network: FoldedNetwork) -> Plan:
    """The plan before element-wise work is fused."""
    return settle_deltas(differentiate(lower(network)))


def stage_of(plan: Plan, population: str) -> Stage:
    return plan.stages[plan.placement[population].stage]


def list_forward(plan: Plan, population: str) -> list[str]:
    """The forward operations of a population's stage."""
    return [str(operation) for operation in stage_of(plan, population).forward.operations()]


def list_backward(plan: Plan, population: str) -> list[str]:
    """The backward operations of a population's stage."""
    return [str(operation) for operation in stage_of(plan, population).backward.operations()]
