"""``python -m benchmarks``: time compiled networks beside those written by hand and write the tables.

python -m benchmarks                                     every workload: results/cpu.json and .md
python -m benchmarks --workloads rnn,tiny                some of them, which are printed
python -m benchmarks --contenders numpy,torch_loop       some of the contenders, likewise
python -m benchmarks --workloads compile                 the compiler alone, and the C compiler
python -m benchmarks --device gpu                        all of them on a GPU: results/gpu-<its name>.json and .md

The exit code is 1 where generated C takes too long to write, to compile or to load, or a workload is not measured since
contenders do not agree, or none of them runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.compilation import time_compilation
from benchmarks.machine import describe_machine, name_results
from benchmarks.measure import Manner, Measurement, measure_workload
from benchmarks.registry import DEVICES, Workload
from benchmarks.report import RESULTS, format_measurement, format_results, write_results
from benchmarks.sources import find_slow, time_sources
from graphbptt_cupy.presence import find_missing

DEFAULT = Manner()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what a command line asks for, and return the exit code."""
    parser = _write_parser()
    options = parser.parse_args(arguments)
    manner = Manner(options.dtype, options.rounds, options.seconds, options.device, options.patience)
    workloads = _choose(parser, options.workloads, _list_workloads, manner.device)
    contenders = _choose(parser, options.contenders, _list_contenders, manner.device)
    chosen = _pair(workloads, contenders, manner.device)
    if not chosen and "compile" not in workloads:
        parser.error(f"{options.contenders} is timed on other workloads than {options.workloads}")
    missing = find_missing() if manner.device == "gpu" else None
    if missing is not None:
        parser.error(f"no GPU can be used here: {missing}")
    machine = describe_machine(manner.device)
    complete = options.workloads is None and options.contenders is None
    path = options.json or (RESULTS / f"{name_results(machine)}.json" if complete else None)
    measurements: list[Measurement] = []
    failed = False
    for workload, those in chosen:
        try:
            measurement = measure_workload(workload, those, manner)
        except (ValueError, RuntimeError, OSError) as error:  # the others are worth measuring
            print(f"## {workload.name}: not measured: {error}", flush=True)
            failed = True
            continue
        print(format_measurement(measurement, measurements), end="\n\n", flush=True)
        measurements.append(measurement)
        failed |= not measurement.timings
        if path is not None:  # all until now, lest a long run end before its end
            write_results(path, machine, manner, measurements, [], [])
    compilation = time_compilation() if "compile" in workloads else []
    sources = time_sources() if "compile" in workloads else []
    if "compile" in workloads and not sources:
        print("No C compiler works here: no generated C was timed.")
    print(format_results(machine, manner, (), compilation, sources))
    if path is not None:
        write_results(path, machine, manner, measurements, compilation, sources)
    return 1 if failed or any(find_slow(sources).values()) else 0


def _write_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workloads", metavar="A,B", help=f"some of: {_list_both(_list_workloads)}")
    parser.add_argument("--contenders", metavar="X,Y", help=f"some of: {_list_both(_list_contenders)}")
    parser.add_argument("--device", default=DEFAULT.device, choices=list(DEVICES), help="where they run")
    parser.add_argument("--dtype", default=DEFAULT.dtype, choices=["float32", "float64"])
    numbers = {
        "rounds": (1, "the least number of rounds for each workload"),
        "seconds": (0, "the least time for each workload"),
        "patience": (1, "the seconds after which a contender that is not ready is left out"),
    }
    for name, (least, meaning) in numbers.items():
        default = getattr(DEFAULT, name)
        parser.add_argument(
            f"--{name}", type=partial(_read_number, least, type(default)), default=default, help=meaning
        )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="a file for the results in place of the above, with the tables beside it as .md",
    )
    return parser


def _read_number(least: int, kind: type[int] | type[float], text: str) -> float:
    try:
        number = kind(text)
    except ValueError:
        number = kind(least - 1)
    if not least <= number < float("inf"):
        what = "whole number" if kind is int else "number"
        raise argparse.ArgumentTypeError(f"{text} is no {what} from {least} on")
    return number


def _list_workloads(device: str) -> list[str]:
    """The compilers are the host's."""
    return [*DEVICES[device], *(("compile",) if device == "cpu" else ())]


def _list_contenders(device: str) -> list[str]:
    return list(dict.fromkeys(name for item in DEVICES[device].values() for name in item.contenders))


def _list_both(listed: Callable[[str], list[str]]) -> str:
    cpu, gpu = (", ".join(listed(device)) for device in ("cpu", "gpu"))
    return f"{cpu}; with --device gpu, of: {gpu}"


def _choose(
    parser: argparse.ArgumentParser, names: str | None, listed: Callable[[str], list[str]], device: str
) -> list[str]:
    """Those of a device that are named, or all."""
    known = listed(device)
    if names is None:
        return known
    chosen = [name for name in names.split(",") if name]
    absent = [name for name in chosen if name not in known]
    elsewhere = {name: other for other in DEVICES for name in listed(other) if name in absent}
    complaints = [f"{name} needs --device {other}" for name, other in elsewhere.items()]
    if unknown := [name for name in absent if name not in elsewhere]:
        complaints.insert(0, f"unknown: {', '.join(unknown)}")
    if complaints:
        parser.error("; ".join([*complaints, f"known: {', '.join(known)}"]))
    return chosen


def _pair(
    workloads: Sequence[str], contenders: Sequence[str], device: str
) -> list[tuple[Workload, tuple[str, ...]]]:
    """The workloads with those of the contenders that each has."""
    named = [DEVICES[device][name] for name in workloads if name in DEVICES[device]]
    pairs = [(item, tuple(name for name in item.contenders if name in contenders)) for item in named]
    return [(workload, those) for workload, those in pairs if those]


if __name__ == "__main__":
    sys.exit(main())
