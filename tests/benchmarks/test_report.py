"""What the table says of timings that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.measure import Manner, Measurement, Timing
from benchmarks.registry import WORKLOADS
from benchmarks.report import (
    find_fastest_peer,
    format_measurement,
    format_results,
    judge_aims,
    list_rows,
    write_results,
)


def measure(**milliseconds: float) -> Measurement:
    timings = {name: Timing((2e-3 * value, 1e-3 * value), 1.0, 100.0) for name, value in milliseconds.items()}
    return Measurement(WORKLOADS["rnn"], "float32", timings, {"jax": "not installed"}, 1e-6)


MEASURED = measure(native=10, native_alone=16, torch=12, torch_loop=40, floor=5)


def test_neither_ours_nor_the_floor_is_a_peer() -> None:
    assert find_fastest_peer(MEASURED) == "torch"
    assert find_fastest_peer(measure(native=1, floor=1)) is None


def test_rows_compare_minima_with_peer_and_floor() -> None:
    row = next(row for row in list_rows([MEASURED]) if row["contender"] == "native")
    assert row["ratio"] == pytest.approx(10 / 12)
    assert row["of_floor"] == pytest.approx(0.5)
    assert row["rounds"] == 2


def test_aims_are_kept_or_missed() -> None:
    judged = {aim["against"]: aim["kept"] for aim in judge_aims(MEASURED)}
    assert judged == {"torch": True, "floor": False, "native_alone": False}
    judged = {aim["against"]: aim["kept"] for aim in judge_aims(measure(native=8, native_alone=16, floor=5))}
    assert judged == {"floor": True, "native_alone": True}


def test_the_table_tells_aims_and_absence() -> None:
    said = format_measurement(MEASURED)
    assert "Kept: native takes 0.83 times as long as torch, and should take at most 1.00." in said
    assert "Missed: native takes 2.00 times as long as floor, and should take at most 1.67." in said
    assert "On all cores native is 1.60 / 1.60 times as fast as on one." in said
    assert "No jax: not installed." in said


def test_results_tell_how_they_were_measured(tmp_path: Path) -> None:
    manner = Manner(rounds=3, seconds=2.5, patience=25)
    write_results(tmp_path / "results.json", {"cores": "2"}, manner, [MEASURED], [], [])
    record = json.loads((tmp_path / "results.json").read_text())
    assert (record["manner"]["rounds"], record["manner"]["seconds"]) == (3, 2.5)
    head = (tmp_path / "results.md").read_text().partition("\n## ")[0]
    assert "- each workload: at least 3 rounds and 2.5 s, of contenders that are ready after 25 s\n" in head
    assert "each workload" not in format_results({}, manner, [], [0.5], [])
