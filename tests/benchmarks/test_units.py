"""The benchmark of single units, at a size that takes no time."""

from __future__ import annotations

from benchmarks.units import GIVEN, format_record, measure


def test_a_small_connectome_is_measured() -> None:
    record = measure(3 * GIVEN, 6 * GIVEN)
    assert record["scales"] == 600
    assert "600 shared scales" in format_record({"machine": {}, **record})
