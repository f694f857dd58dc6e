"""``python -m benchmarks``: time compiled networks beside those written by hand and write the tables.

python -m benchmarks                                     every workload: results/cpu.json and .md
python -m benchmarks --workloads rnn,tiny                some of them
python -m benchmarks --contenders numpy,torch_loop       some of the contenders
python -m benchmarks --workloads compile                 the compiler alone, and the C compiler

The exit code is 1 where generated C takes too long to compile or to load.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.compilation import time_compilation
from benchmarks.machine import describe_machine
from benchmarks.measure import Measurement, measure_workload
from benchmarks.registry import WORKLOADS
from benchmarks.report import RESULTS, format_measurement, format_results, write_results
from benchmarks.sources import find_slow, time_sources

EVERY_CONTENDER = tuple(dict.fromkeys(name for item in WORKLOADS.values() for name in item.contenders))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what a command line asks for, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [*WORKLOADS, "compile"]
    parser.add_argument(
        "--workloads", default=",".join(known), metavar="A,B", help=f"some of: {', '.join(known)}"
    )
    parser.add_argument(
        "--contenders",
        default=",".join(EVERY_CONTENDER),
        metavar="X,Y",
        help=f"some of: {', '.join(EVERY_CONTENDER)}",
    )
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=20, help="the least number of rounds for each workload")
    parser.add_argument("--seconds", type=float, default=10, help="the least time for each workload")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="where the results go, the table beside it; else it is printed",
    )
    options = parser.parse_args(arguments)
    workloads = _choose(parser, options.workloads, known)
    contenders = _choose(parser, options.contenders, list(EVERY_CONTENDER))
    measurements: list[Measurement] = []
    for name in workloads:
        if name in WORKLOADS:
            workload = WORKLOADS[name]
            chosen = tuple(contender for contender in workload.contenders if contender in contenders)
            measurement = measure_workload(workload, chosen, options.dtype, options.seconds, options.rounds)
            print(format_measurement(measurement, measurements), flush=True)
            measurements.append(measurement)
    compilation = time_compilation() if "compile" in workloads else []
    sources = time_sources() if "compile" in workloads else []
    if "compile" in workloads and not sources:
        print("No C compiler works here: no generated C was timed.")
    machine = describe_machine()
    print(format_results(machine, (), compilation, sources))
    complete = set(workloads) == set(known) and set(contenders) == set(EVERY_CONTENDER)
    path = options.json or (RESULTS / "cpu.json" if complete else None)
    if path is not None:
        write_results(path, machine, measurements, compilation, sources)
    return 1 if any(find_slow(sources)) else 0


def _choose(parser: argparse.ArgumentParser, names: str, known: list[str]) -> list[str]:
    chosen = [name for name in names.split(",") if name]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
