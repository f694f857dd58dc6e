"""Scans as C: a text to read, the same each time, that no name of a node can break out of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networkx as nx
import pytest
from compiled import load_source, toolchain
from named_networks import NETWORKS

from graphbptt.codegen.dialect import C
from graphbptt.codegen.kernels.write_kernels import write_kernels
from graphbptt.codegen.lookup import Lookup
from graphbptt.codegen.precision import FLOAT32, FLOAT64
from graphbptt.codegen.products.vectors import SMALLEST
from graphbptt.codegen.scans.scan import can_emit, emit_scan
from graphbptt.codegen.scans.source import write_source
from graphbptt.compiler import compile_network
from graphbptt.ir.data import Target
from graphbptt.ir.plan import Plan
from graphbptt.ir.plan_names import PlanNames
from graphbptt.passes.fold_graph import fold_graph

elman, lstm = NETWORKS[:2]


def test_text(golden: Callable[[str, str], None]) -> None:
    """The table of the stages, how to read the rest, then the scans, with every node and edge named.

    They come first of all that is the network's own: what they call is declared ahead of them and follows them.
    """
    text = write_source(compile_network(elman()), FLOAT32, SMALLEST).text
    contents = text[: text.index("#include")].rstrip()
    scans = text[text.index("/* out (+)= in @ matrix") : text.index("/* Vectors of")].rstrip()
    golden("source_elman", f"{contents}\n\n{scans}")


def test_text_is_the_same_each_time() -> None:
    unit = toolchain().vectors
    assert write_source(compile_network(lstm()), FLOAT64, unit) == write_source(
        compile_network(lstm()), FLOAT64, unit
    )


def test_precisions_share_everything_but_the_prelude() -> None:
    plan = compile_network(lstm())
    single, double = (
        emit_scan("scan", Lookup.of(plan), plan.stages[1], True, precision)
        for precision in (FLOAT32, FLOAT64)
    )
    assert [line.replace("1.0f", "1.0") for line in single.lines] == list(double.lines)


@pytest.mark.parametrize(
    "write",
    [
        lambda plan: write_source(plan, FLOAT32, SMALLEST),
        lambda plan: write_kernels(plan, FLOAT32, C),
    ],
)
def test_a_plan_is_named_once_for_all_scans(
    write: Callable[[Plan], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, named = compile_network(lstm()), list[Plan]()
    name = PlanNames.__init__

    def count(self: PlanNames, plan: Plan) -> None:
        named.append(plan)
        name(self, plan)

    monkeypatch.setattr(PlanNames, "__init__", count)
    write(plan)
    assert len(named) == 1


def test_names_of_nodes_are_only_comments() -> None:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    evil = "h */ } int x; /*\n#error \\"
    graph.add_node(evil, units=2, activation="tanh")
    graph.add_edge(evil, evil)
    plan = compile_network(fold_graph(graph, [], [Target(evil, "y")]))
    source = write_source(plan, FLOAT32, toolchain().vectors)
    assert len(source.scans) == 2
    load_source(source.text)


def test_products_by_entries_need_narrow_indices() -> None:
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_node("h", units=64, activation="tanh")
    graph.add_edge("h", "h", weight={"sparse": {"density": 0.01}, "storage": "csr"})
    plan = compile_network(fold_graph(graph, [], [Target("h", "y")]))
    sweep = plan.stages[0].forward
    assert can_emit(plan, sweep)
    (block,) = plan.blocks
    assert not can_emit(replace(plan, blocks=(replace(block, rows=2**31),)), sweep)
