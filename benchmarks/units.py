"""``python -m benchmarks.units``: a connectome of single units, compiled and differentiated, in a process of its own.

python -m benchmarks.units                      50,000 nodes and 1,500,000 edges, results/units.json and .md
python -m benchmarks.units --nodes 5000 --edges 100000       another size, printed only
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

import graphbptt
from benchmarks.connectome import GIVEN, WANTED, draw_connectome
from benchmarks.machine import describe_machine
from benchmarks.memory import measure_peak
from benchmarks.report import RESULTS

NODES, EDGES, BATCH, STEPS = 50_000, 1_500_000, 4, 20
SECONDS, GIBIBYTES = 20, 4
"""What compiling may take."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.units", description=__doc__.split("\n\n")[0])
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--edges", type=int, default=EDGES)
    parser.add_argument("--here", action="store_true", help="measure in this process and print JSON")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.nodes, options.edges)))
        return
    command = [sys.executable, "-m", "benchmarks.units", "--here"]
    command += ["--nodes", str(options.nodes), "--edges", str(options.edges)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    record = {"machine": describe_machine(), **json.loads(done.stdout)}
    text = format_record(record)
    if (options.nodes, options.edges) == (NODES, EDGES):
        (RESULTS / "units.json").write_text(json.dumps(record, indent=1) + "\n")
        (RESULTS / "units.md").write_text(text)
    print(text)


def measure(nodes: int, edges: int) -> dict[str, Any]:
    """Times in seconds, and the peak memory of the process after each stage in GiB."""
    graph, given, wanted = draw_connectome(nodes, edges)
    small, inputs, targets = draw_connectome(3 * GIVEN, 10 * GIVEN)
    graphbptt.compile(small, inputs, targets, backend="numpy")  # imports what is imported once
    record: dict[str, Any] = {"nodes": nodes, "edges": edges, "batch": BATCH, "steps": STEPS}
    record["graph_gib"] = measure_peak() / 2**30
    start, used = time.perf_counter(), time.process_time()
    model = graphbptt.compile(graph, given, wanted, backend="numpy")
    record["compile_seconds"] = time.perf_counter() - start
    record["compile_processor_seconds"] = time.process_time() - used
    record["compile_gib"] = measure_peak() / 2**30
    record["scales"] = int(model.parameters["ties0"].size)
    rng = np.random.default_rng(0)
    fields = {
        "seen": rng.normal(size=(BATCH, STEPS, GIVEN)),
        "wanted": rng.normal(size=(BATCH, STEPS, WANTED)),
    }
    seconds, processor = [], []
    for _ in range(5):
        start, used = time.perf_counter(), time.process_time()
        loss, gradients = model.loss_and_gradients(fields)
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    if not (np.isfinite(loss) and np.isfinite(gradients["ties0"]).all()):
        raise ValueError("the loss or its derivatives are not finite")
    record["first_pass_seconds"], record["pass_seconds"] = seconds[0], min(seconds)
    record["first_pass_processor_seconds"], record["pass_processor_seconds"] = processor[0], min(processor)
    record["load"] = os.getloadavg()[0]
    record["pass_gib"] = measure_peak() / 2**30
    record["explain"] = model.explain(STEPS, BATCH)
    return record


def format_record(record: dict[str, Any]) -> str:
    """The figures as a table, with what it was measured on and what `explain` estimates."""
    shape = f"batch {record['batch']}, {record['steps']} steps"
    rows = [
        ("what", "seconds", "of the processor", "peak memory, GiB", "limit"),
        ("---", "---", "---", "---", "---"),
        ("the networkx graph itself", "", "", f"{record['graph_gib']:.2f}", ""),
        (
            "compile",
            f"{record['compile_seconds']:.1f}",
            f"{record['compile_processor_seconds']:.1f}",
            f"{record['compile_gib']:.2f}",
            f"{SECONDS} s, {GIBIBYTES} GiB",
        ),
        (
            f"forward and backward, {shape}, the first",
            f"{record['first_pass_seconds']:.2f}",
            f"{record['first_pass_processor_seconds']:.2f}",
            f"{record['pass_gib']:.2f}",
            "",
        ),
        (
            "the same, the fastest of five",
            f"{record['pass_seconds']:.2f}",
            f"{record['pass_processor_seconds']:.2f}",
            "",
            "",
        ),
    ]
    return "\n".join(
        [
            "# Single units",
            "",
            *(f"- {key}: {value}" for key, value in record["machine"].items()),
            "",
            f"A random graph of {record['nodes']:,} nodes of one unit and {record['edges']:,} edges, whose weights are",
            f"sign times count times one of {record['scales']} shared scales. Memory is the peak of the process.",
            f"Meanwhile {record['load']:.1f} processes wanted to run on the machine.",
            "",
            *(f"| {' | '.join(row)} |" for row in rows),
            "",
            "What `explain` says:",
            "",
            "```",
            record["explain"],
            "```",
            "",
        ]
    )


if __name__ == "__main__":
    main()
