"""A shipped cell of some size between an input and an output: what everybody trains."""

from __future__ import annotations

from functools import cache
from typing import Any

import networkx as nx

from graphbptt.compiler import compile_network
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.plan import Plan
from graphbptt.passes.fold_graph import fold_graph

__all__ = ["INPUTS", "plan_cell"]

INPUTS = 32


@cache
def plan_cell(kind: str, units: int) -> Plan:
    """x -> h -> y with a cell at h; its scan is the plan's only one."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("x", units=INPUTS)
    graph.add_node("h", units=units, cell=kind)
    graph.add_node("y", units=2)
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "y", delay=0)
    return compile_network(fold_graph(graph, [Clamp("x", "x")], [Target("y", "y")]))
