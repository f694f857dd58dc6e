"""How long texts are, and that those are refused that a compiler takes too long over."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import toolchain
from many_populations import many_populations, unlike_populations
from named_networks import NETWORKS

import graphbptt
from graphbptt.codegen import length
from graphbptt.codegen.length import check_length, count_lines
from graphbptt.codegen.precision import FLOAT32
from graphbptt.codegen.source import write_source
from graphbptt.codegen.vectors import SMALLEST
from graphbptt.compiler import compile_network
from graphbptt.errors import BackendError
from graphbptt_native import backend


def test_usual_networks_are_short() -> None:
    for network in NETWORKS:
        assert count_lines(write_source(compile_network(network()), FLOAT32, SMALLEST)) < length.LONGEST / 10


def test_networks_of_many_populations_are_not_refused() -> None:
    for network in (many_populations(120), many_populations(120, "dense"), unlike_populations(60)):
        check_length(write_source(compile_network(network), FLOAT32, SMALLEST))


def test_lines_of_tables_do_not_count() -> None:
    source = write_source(compile_network(many_populations(60)), FLOAT32, SMALLEST)
    rows = sum(scan.table_rows for scan in source.scans.values())
    assert rows > 2 * 240
    assert count_lines(source) == len(source.text.splitlines()) - rows


def test_long_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    toolchain()  # skips where there is no compiler
    monkeypatch.setattr(length, "LONGEST", 1000)
    plan = compile_network(unlike_populations(60))
    with pytest.raises(BackendError, match=r"C has [\d,]+ lines, more than 1,000: use fewer") as caught:
        backend.build(plan, np.dtype("float32"))
    assert caught.value.exit_code == 2


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
