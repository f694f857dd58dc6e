"""``python -m benchmarks``: time compiled networks beside hand-written ones and write the tables.

python -m benchmarks                        every workload, results/numpy.json and .md
python -m benchmarks tanh-16 lstm           some of them, by name or by network, printed only
python -m benchmarks compile                the compiler alone, printed only
"""

from __future__ import annotations

import argparse

from benchmarks.machine import describe_machine
from benchmarks.measure import check_agreement, time_contenders
from benchmarks.problem import draw_problem
from benchmarks.registry import WORKLOADS, Workload, list_contenders
from benchmarks.report import Comparison, format_results, write_results
from benchmarks.workloads.compilation import time_compilation


def main() -> None:
    networks = list(dict.fromkeys(workload.network.name for workload in WORKLOADS.values()))
    choices = [*WORKLOADS, *networks, "compile"]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"all, or some of: {', '.join(choices)}"
    )
    parser.add_argument("--backend", default="numpy", help="the backend that runs the compiled network")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--seconds", type=float, default=10, help="the least time for each workload")
    parser.add_argument("--rounds", type=int, default=20, help="the least number of rounds for each workload")
    options = parser.parse_args()
    unknown = set(options.workloads) - set(choices)
    if unknown:
        parser.error(f"unknown workload {', '.join(sorted(unknown))}; known: {', '.join(choices)}")
    chosen = options.workloads or choices
    comparisons = [
        compare(workload, options.backend, options.dtype, options.seconds, options.rounds)
        for name, workload in WORKLOADS.items()
        if {name, workload.network.name} & set(chosen)
    ]
    compilation = time_compilation() if "compile" in chosen else []
    machine = describe_machine()
    if options.workloads:
        print(format_results(machine, comparisons, compilation))
    else:
        suffix = "" if options.dtype == "float32" else f"-{options.dtype}"
        print(write_results(f"{options.backend}{suffix}", machine, comparisons, compilation))


def compare(workload: Workload, backend: str, dtype: str, seconds: float, rounds: int) -> Comparison:
    """Check that all contenders agree on one problem, then time them."""
    problem = draw_problem(workload.sizes, dtype)
    contenders = {
        name: prepare(problem) for name, prepare in list_contenders(workload.network, backend).items()
    }
    difference = check_agreement(contenders)
    timings = time_contenders(contenders, seconds, rounds)
    return Comparison(workload, dtype, backend, timings, difference)


if __name__ == "__main__":
    main()
