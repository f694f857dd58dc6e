"""How long the text of a plan is, known before it is written."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from compiled import toolchain
from named_networks import NETWORKS

import graphbptt
from graphbptt.codegen.length import LONGEST, check_length, estimate_lines
from graphbptt.codegen.precision import FLOAT32
from graphbptt.codegen.source import write_source
from graphbptt.codegen.vectors import SMALLEST
from graphbptt.compiler import compile_network
from graphbptt.errors import BackendError
from graphbptt.ir.plan import Plan
from graphbptt_native import backend


def many_populations(count: int, weight: str) -> Plan:
    """Each reads four others, whose numbers of units differ where that can be."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    for k in range(count):
        graph.add_node(k, units=4 if weight == "one_to_one" else 2 + k % 17, activation="tanh")
        for step in (1, 3, 7, 12):
            graph.add_edge(k, (k * step + step) % count, weight=weight, delay=1 + step % 2)
    return graphbptt.compile(graph, targets=[graphbptt.Target(0, "y")], backend="numpy").plan


@pytest.mark.parametrize("weight", ["one_to_one", "dense"])
@pytest.mark.parametrize("count", [30, 120])
def test_estimate_is_right_within_a_factor_of_two(count: int, weight: str) -> None:
    plan = many_populations(count, weight)
    lines = write_source(plan, FLOAT32, SMALLEST).text.count("\n")
    assert lines / 2 < estimate_lines(plan) < 2 * lines


def test_usual_networks_are_short() -> None:
    for network in NETWORKS:
        check_length(compile_network(network()))


def test_long_text_is_refused_before_it_is_written() -> None:
    plan = many_populations(400, "one_to_one")
    assert estimate_lines(plan) > LONGEST
    toolchain()  # skips where there is no compiler
    with pytest.raises(
        BackendError, match=r"C would have about [\d,]+ lines, more than 3,000: use fewer"
    ) as caught:
        backend.build(plan, np.dtype("float32"))
    assert caught.value.exit_code == 2


def test_auto_goes_on_where_the_text_is_long(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    toolchain()
    monkeypatch.setattr(graphbptt.backend, "AUTO_ORDER", ("native", "numpy"))
    name, _ = graphbptt.backend.build_executable(
        "auto", many_populations(400, "one_to_one"), np.dtype("float32")
    )
    assert name == "numpy"
    (record,) = caplog.records
    assert "not on the faster native: the network's C would have about" in record.getMessage()
