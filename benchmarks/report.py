"""Results as JSON, and as a Markdown table beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Timing
from benchmarks.registry import Workload

__all__ = ["RESULTS", "Comparison", "write_results"]

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The compiled network, called `ours`, beside the hand-written ones on one workload."""

    workload: Workload
    dtype: str
    ours: str
    timings: dict[str, Timing]
    difference: float

    @property
    def fastest(self) -> str:
        """The hand-written contender with the least minimum."""
        peers = {name: timing.minimum for name, timing in self.timings.items() if name != self.ours}
        return min(peers, key=peers.__getitem__)

    @property
    def ratio(self) -> float:
        """The minimum of ours over the minimum of the fastest hand-written."""
        return self.timings[self.ours].minimum / self.timings[self.fastest].minimum

    @property
    def median_ratio(self) -> float:
        return self.timings[self.ours].median / self.timings[self.fastest].median

    def row(self) -> list[str]:
        """The cells of the table."""
        ours, peer = self.timings[self.ours], self.timings[self.fastest]
        return [
            self.workload.network.name,
            str(self.workload.sizes),
            self.dtype,
            *(f"{1e3 * timing.minimum:.3f} / {1e3 * timing.median:.3f}" for timing in (ours, peer)),
            self.fastest,
            f"{self.ratio:.2f} / {self.median_ratio:.2f}",
            f"{self.workload.limit}",
            f"{self.difference:.0e}",
        ]


def write_results(
    name: str, machine: dict[str, str], comparisons: Sequence[Comparison], compilation: Sequence[float]
) -> str:
    """Write ``results/<name>.json`` and ``.md``; returns the Markdown."""
    RESULTS.mkdir(exist_ok=True)
    record = {
        "machine": machine,
        "workloads": [
            {
                "network": item.workload.network.name,
                "sizes": str(item.workload.sizes),
                "dtype": item.dtype,
                "ratio": item.ratio,
                "median_ratio": item.median_ratio,
                "limit": item.workload.limit,
                "fastest_hand_written": item.fastest,
                "difference": item.difference,
                "seconds": {
                    contender: {"minimum": t.minimum, "median": t.median, "rounds": len(t.seconds)}
                    for contender, t in item.timings.items()
                },
            }
            for item in comparisons
        ],
        "compilation_seconds": list(compilation),
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    text = format_results(machine, comparisons, compilation)
    (RESULTS / f"{name}.md").write_text(text)
    return text


def format_results(
    machine: dict[str, str], comparisons: Sequence[Comparison], compilation: Sequence[float]
) -> str:
    """The table, with what it was measured on."""
    ours = comparisons[0].ours if comparisons else "compiled"
    lines = ["# Speed", "", *(f"- {key}: {value}" for key, value in machine.items()), ""]
    if comparisons:
        head = ["network", "(inputs, hidden, batch, steps)", "dtype", f"{ours}, ms", "hand-written, ms"]
        head += ["fastest by hand", "ratio", "limit", "difference"]
        rows = [head, ["---"] * len(head), *(comparison.row() for comparison in comparisons)]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines += [
            "",
            "Loss and all gradients of one batch. Times and ratios are minimum / median over interleaved rounds of",
            "one run, against the hand-written contender with the least minimum. The difference is the largest",
            "relative one, norm-wise per array, between all contenders.",
            "",
        ]
    if compilation:
        lines += [
            f"1,000 populations and 10,000 edges compile in {min(compilation):.2f} s "
            f"(minimum of {len(compilation)}; the first took {compilation[0]:.2f} s).",
            "",
        ]
    return "\n".join(lines)
