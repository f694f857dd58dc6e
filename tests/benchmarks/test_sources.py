"""The times of generated C: what is measured, and what is called slow."""

from __future__ import annotations

from pathlib import Path

from compiled import toolchain
from named_networks import lstm

from benchmarks.sources import SourceTiming, format_sources, list_plans, time_source
from graphbptt.compiler import compile_network
from graphbptt_native.cache import Cache


def test_a_source_is_compiled_and_loaded(tmp_path: Path) -> None:
    timing = time_source("lstm", compile_network(lstm()), toolchain(), Cache(tmp_path))
    assert timing.lines > 100
    assert timing.compile_s > 10 * timing.load_s > 0
    assert timing.compile_processor_s > 0
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_slow_is_named() -> None:
    timings = [
        SourceTiming("a", 9, 0.1, 2.5, 2.5, 0.001),
        SourceTiming("b", 9, 0.1, 0.5, 0.5, 0.02),
        SourceTiming("c", 9, 1.5, 0.5, 0.5, 0.001),
    ]
    said = format_sources(timings)[-2]
    assert "More than 1 s to write: c; more than 2 s to compile: a; more than 10 ms to load: b." in said


def test_no_compiler_no_table() -> None:
    assert format_sources([]) == []


def test_networks_of_many_populations_are_among_them() -> None:
    plans = list_plans()
    name, plan = next(plans)
    assert name == "60 populations"
    assert len(plan.network.populations) > 50
    assert len(plan.network.connections) == 300
    name, plan = next(plans)
    assert name == "chain of 100"
    assert len(plan.stages) == 100
