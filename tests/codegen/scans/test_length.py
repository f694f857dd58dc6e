"""How long texts are, and that those are refused that a compiler takes too long over."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from compiled import toolchain
from many_populations import many_populations, unlike_populations
from named_networks import NETWORKS

import graphbptt
from graphbptt.codegen.precision import FLOAT32
from graphbptt.codegen.products.vectors import SMALLEST
from graphbptt.codegen.scans import length
from graphbptt.codegen.scans.length import check_length
from graphbptt.codegen.scans.source import write_source
from graphbptt.compiler import compile_network
from graphbptt.errors import BackendError
from graphbptt.ir.data import Target
from graphbptt.passes.fold_graph import fold_graph
from graphbptt_native import backend


def test_usual_networks_are_short() -> None:
    for network in NETWORKS:
        assert write_source(compile_network(network()), FLOAT32, SMALLEST).length < length.LONGEST / 10


def test_networks_of_many_populations_are_not_refused() -> None:
    for network in (many_populations(120), many_populations(120, "dense"), unlike_populations(60)):
        write_source(compile_network(network), FLOAT32, SMALLEST, check_length)


def test_lines_of_tables_do_not_count() -> None:
    source = write_source(compile_network(many_populations(60)), FLOAT32, SMALLEST)
    rows = sum(scan.table_rows for scan in source.scans.values())
    assert rows > 2 * 240
    assert source.length == len(source.text.splitlines()) - rows


def test_long_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    toolchain()  # skips where there is no compiler
    monkeypatch.setattr(length, "LONGEST", 1000)
    plan = compile_network(unlike_populations(60))
    with pytest.raises(BackendError, match="C has more than 1,000 lines: use fewer") as caught:
        backend.build(plan, np.dtype("float32"))
    assert caught.value.exit_code == 2


def test_a_long_text_is_not_written_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of populations, each a scan of its own: the first that is too much is the last that is written."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    nx.add_path(graph, range(8), delay=0)
    graph.add_edges_from((k, k) for k in range(8))
    plan = compile_network(fold_graph(graph, [], [Target(7, "y")]))
    counts: list[int] = []
    source = write_source(plan, FLOAT32, SMALLEST, counts.append)
    assert len(source.scans) == 16
    assert counts == sorted(set(counts))
    assert counts[-1] == source.length
    monkeypatch.setattr(length, "LONGEST", counts[4])

    def check(lines: int) -> None:
        counts.append(lines)
        check_length(lines)

    counts.clear()
    with pytest.raises(BackendError, match="has more than"):
        write_source(plan, FLOAT32, SMALLEST, check)
    assert len(counts) == 6


def test_auto_goes_on_where_the_text_is_long(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    toolchain()
    monkeypatch.setattr(length, "LONGEST", 1000)
    monkeypatch.setattr(graphbptt.backend, "AUTO_ORDER", ("native", "numpy"))
    plan = compile_network(unlike_populations(60))
    name, _ = graphbptt.backend.build_executable("auto", plan, np.dtype("float32"))
    assert name == "numpy"
    (record,) = caplog.records
    assert "not on the faster native: the network's C has" in record.getMessage()
