"""Results as JSON, and as a Markdown table beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measure import SLOW, SLOW_ROUNDS, Manner, Measurement
from benchmarks.process import ABSENT
from benchmarks.registry import ALONE, OURS, PEER
from benchmarks.sources import SourceTiming, describe_sources, format_sources

__all__ = ["RESULTS", "format_measurement", "format_results", "judge_aims", "list_rows", "write_results"]

RESULTS = Path(__file__).parent / "results"

HEAD = ("contender", "min, ms", "median, ms", "ratio", "of floor", "rounds", "compile, s", "peak, MB")
EXPLANATION = f"""\
Loss and all gradients of one batch (of `step`: one step forward, as a stream takes it). Every contender is a process
of its own; minimum and median are over interleaved rounds of one run. The ratio is that of the minimum to the minimum
of the fastest peer, one that is neither ours nor the floor; what we want of such ratios, and whether it is so, stands
under each workload. Who takes more than {SLOW} times as long as the fastest is timed in {SLOW_ROUNDS} rounds only.
Before they are timed, all contenders agree on loss and gradients; the largest relative difference, norm-wise per array,
stands under each workload. Compile: from the declaration to the end of the first call, with empty caches, libraries
imported before. Peak: resident memory of the process, libraries included. The floor is the time of the network's matrix
products at the rate of a large one on all cores, measured in the same run: of NumPy's BLAS or, where it is faster, of
our own generated C. Of floor is how fast a contender is, of that. The contender native_alone is native kept to one
thread."""

ON_GPU = """\
On a GPU all keep to true single precision, libraries of NVIDIA's by NVIDIA_TF32_OVERRIDE=0. PyTorch is timed by events
on its stream; its loss and gradients stay on the GPU. JAX and ours are timed by the host's clock, each call to its end;
ours includes that data go up, and loss and gradient come down. Contenders get ready all at once. Peak is the host's
memory. torch is cuDNN's layer, torch_graph the eager loop and its derivatives in one CUDA graph. cupy_plain is ours
without graphs, cupy_launched ours with launches for every step, where cupy may have one for all."""

REMEDY = 'To measure them too: pip install ".[peers]".'


def find_fastest_peer(measurement: Measurement) -> str | None:
    peers = {
        name: timing.minimum
        for name, timing in measurement.timings.items()
        if name not in OURS and name != "floor"
    }
    return min(peers, key=peers.__getitem__, default=None)


def list_rows(measurements: Sequence[Measurement]) -> Iterator[dict[str, Any]]:
    """A row for every contender that ran."""
    for measurement in measurements:
        peer = find_fastest_peer(measurement)
        floor = measurement.timings["floor"].minimum if "floor" in measurement.timings else None
        for name, timing in measurement.timings.items():
            yield {
                "workload": measurement.workload.name,
                "contender": name,
                "min_ms": 1e3 * timing.minimum,
                "median_ms": 1e3 * timing.median,
                "ratio": timing.minimum / measurement.timings[peer].minimum if peer else None,
                "median_ratio": timing.median / measurement.timings[peer].median if peer else None,
                "of_floor": floor / timing.minimum if floor and name != "floor" else None,
                "rounds": len(timing.seconds),
                "compile_s": timing.compile_s,
                "peak_mb": timing.peak_mb,
            }


def judge_aims(measurement: Measurement) -> Iterator[dict[str, Any]]:
    """The ratio of minima that each aim is about, and whether it is kept; none where someone is absent."""
    for aim in measurement.workload.aims:
        against = find_fastest_peer(measurement) if aim.against == PEER else aim.against
        timings = measurement.timings
        if against is not None and {aim.contender, against} <= timings.keys():
            ratio = timings[aim.contender].minimum / timings[against].minimum
            yield {
                "workload": measurement.workload.name,
                "contender": aim.contender,
                "against": against,
                "ratio": ratio,
                "limit": aim.limit,
                "kept": ratio <= aim.limit,
            }


def write_results(
    path: Path,
    machine: dict[str, str],
    manner: Manner,
    measurements: Sequence[Measurement],
    compilation: Sequence[float],
    sources: Sequence[SourceTiming],
) -> None:
    """Write the JSON to `path` and the Markdown beside it."""
    record = {
        "machine": machine,
        "manner": asdict(manner),
        "rows": list(list_rows(measurements)),
        "aims": [aim for item in measurements for aim in judge_aims(item)],
        "absent": {item.workload.name: dict(item.absent) for item in measurements if item.absent},
        "compilation_seconds": list(compilation),
        "sources": describe_sources(sources),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    path.with_suffix(".md").write_text(format_results(machine, manner, measurements, compilation, sources))


def format_results(
    machine: dict[str, str],
    manner: Manner,
    measurements: Sequence[Measurement],
    compilation: Sequence[float],
    sources: Sequence[SourceTiming],
) -> str:
    """The table, with what it was measured on, and how."""
    head = machine | ({"each workload": _format_manner(manner)} if measurements else {})
    lines = ["# Speed", "", *(f"- {key}: {value}" for key, value in head.items()), ""]
    if measurements:
        lines += [EXPLANATION, ""]
        lines += [ON_GPU, ""] if "gpu" in machine else []
    for index, measurement in enumerate(measurements):
        lines += [format_measurement(measurement, measurements[:index]), ""]
    if compilation:
        lines += [
            f"1,000 populations and 10,000 edges compile in {min(compilation):.2f} s "
            f"(minimum of {len(compilation)}; the first took {compilation[0]:.2f} s).",
            "",
        ]
    return "\n".join([*lines, *format_sources(sources)])


def _format_manner(manner: Manner) -> str:
    return (
        f"at least {manner.rounds} rounds and {manner.seconds:g} s, of contenders that are ready"
        f" after {manner.patience:g} s"
    )


def format_measurement(measurement: Measurement, before: Sequence[Measurement] = ()) -> str:
    """One workload's table; how to get libraries that are not there is told once, by those `before` or here."""
    workload = measurement.workload
    title = f"## {workload.name}: (inputs, hidden, batch, steps) = {workload.sizes}, {measurement.dtype}"
    rows = [_format_row(row) for row in list_rows([measurement])]
    table = [f"| {' | '.join(row)} |" for row in (HEAD, ("---",) * len(HEAD), *rows)] if rows else []
    notes = []
    if len(measurement.timings.keys() - {"floor"}) > 1:
        notes.append(f"Largest difference {measurement.difference:.0e}.")
    notes += [_format_aim(aim) for aim in judge_aims(measurement)]
    notes += list(_compare_threads(measurement))
    notes += [f"No {name}: {reason}." for name, reason in measurement.absent.items()]
    if _lacks_library(measurement) and not any(map(_lacks_library, before)):
        notes.append(REMEDY)
    return "\n\n".join("\n".join(part) for part in ([title], table, notes) if part)


def _lacks_library(measurement: Measurement) -> bool:
    return any(reason.startswith(ABSENT) for reason in measurement.absent.values())


def _format_aim(aim: dict[str, Any]) -> str:
    return (
        f"{'Kept' if aim['kept'] else 'Missed'}: {aim['contender']} takes {aim['ratio']:.2f} times as long as"
        f" {aim['against']}, and should take at most {aim['limit']:.2f}."
    )


def _compare_threads(measurement: Measurement) -> Iterator[str]:
    """How much faster ours are for more than one thread."""
    for name in ALONE:
        together = name.removesuffix("_alone")
        if name in measurement.timings and together in measurement.timings:
            alone, timing = measurement.timings[name], measurement.timings[together]
            minimum, median = alone.minimum / timing.minimum, alone.median / timing.median
            yield f"On all cores {together} is {minimum:.2f} / {median:.2f} times as fast as on one."


def _format_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["contender"],
        f"{row['min_ms']:.3f}",
        f"{row['median_ms']:.3f}",
        "" if row["ratio"] is None else f"{row['ratio']:.2f} / {row['median_ratio']:.2f}",
        "" if row["of_floor"] is None else f"{100 * row['of_floor']:.0f} %",
        str(row["rounds"]),
        f"{row['compile_s']:.2f}",
        f"{row['peak_mb']:.0f}",
    )
