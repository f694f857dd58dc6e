"""Generated C: how long its text takes to write, to compile, and to load when the cache has it.

The networks are those of the specs and of the workloads, and two of many populations, in single precision. Each source
is compiled for an empty cache, and what was made is then loaded from that cache for the first time.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import networkx as nx
import numpy as np

import graphbptt
from benchmarks.registry import WORKLOADS
from graphbptt.codegen.precision import FLOAT32
from graphbptt.codegen.scans.source import write_source
from graphbptt.errors import BackendError
from graphbptt.ir.data import Target
from graphbptt.ir.plan import Plan
from graphbptt_native.cache import Cache
from graphbptt_native.cpu import describe_cpu
from graphbptt_native.discover import Toolchain, find_toolchain
from graphbptt_native.load import OBJECT, SOURCE, compile_source, load_library, object_key

__all__ = [
    "SourceTiming",
    "describe_sources",
    "find_slow",
    "format_sources",
    "list_plans",
    "time_source",
    "time_sources",
]

T = TypeVar("T")

SPECS = Path(__file__).parents[1] / "specs"
WRITE_SECONDS, COMPILE_SECONDS, LOAD_SECONDS = 1.0, 2.0, 0.01
"""What a network may take."""


@dataclass(frozen=True, slots=True)
class SourceTiming:
    """A network, the lines of its source, and the seconds to write, compile and load it; on a busy machine the
    compiler's time on a processor says more than how long it was waited for."""

    network: str
    lines: int
    write_s: float
    compile_s: float
    compile_processor_s: float
    load_s: float


def time_sources() -> list[SourceTiming]:
    """One row for each network; none where there is no C compiler."""
    with TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        try:
            toolchain = find_toolchain(cache)
        except BackendError:
            return []
        return [time_source(name, plan, toolchain, cache) for name, plan in list_plans()]


def list_plans() -> Iterator[tuple[str, Plan]]:
    """The plans of two networks of many populations, and of every spec and workload."""
    many, chain = draw_populations(60, 300), draw_chain(100)
    yield "60 populations", graphbptt.compile(many, [], [Target(0, "y")], backend="numpy").plan
    yield "chain of 100", graphbptt.compile(chain, [], [Target(99, "y")], backend="numpy").plan
    for path in sorted(SPECS.glob("*.yaml")):
        yield f"specs/{path.name}", graphbptt.load(path).compile(backend="numpy").plan
    for name, workload in WORKLOADS.items():
        network, sizes = workload.network, workload.sizes
        graph = network.declare(sizes, bool(network.noise))
        given, wanted = network.inputs(sizes), network.targets(sizes)
        yield name, graphbptt.compile(graph, given, wanted, backend="numpy").plan


def draw_populations(count: int, edges: int, seed: int = 0) -> nx.MultiDiGraph[Any]:
    """Populations of four units, with connections one to one at random, which are one or two steps late."""
    rng = np.random.default_rng(seed)
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_nodes_from(range(count), units=4, activation="tanh")
    for source, target, delay in rng.integers((0, 0, 1), (count, count, 3), (edges, 3)).tolist():
        graph.add_edge(source, target, weight="one_to_one", delay=delay)
    return graph


def draw_chain(count: int) -> nx.MultiDiGraph[Any]:
    """Populations of sixteen units, each of which reads itself and the one before it: each a stage of its own."""
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    graph.add_nodes_from(range(count), units=16, activation="tanh")
    graph.add_edges_from((number, number) for number in range(count))
    graph.add_edges_from((number - 1, number) for number in range(1, count))
    return graph


def time_source(name: str, plan: Plan, toolchain: Toolchain, cache: Cache) -> SourceTiming:
    """Compile one source, which the cache must not have, and load it."""
    text, write_s = _time(lambda: write_source(plan, FLOAT32, toolchain.vectors).text)
    with TemporaryDirectory() as folder:
        before = _used_by_children()
        made, compile_s = _time(lambda: compile_source(text, toolchain, cache, Path(folder)))
        processor_s = _used_by_children() - before
        contents = {SOURCE: text.encode(), OBJECT: made.read_bytes()}
        cache.store(object_key(text, toolchain, describe_cpu()), contents)
    library, load_s = _time(lambda: load_library(text, toolchain, cache))
    if library.compiled:
        raise RuntimeError(f"the cache did not keep the object of {name}")
    return SourceTiming(name, text.count("\n"), write_s, compile_s, processor_s, load_s)


def _used_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _time(call: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def describe_sources(timings: Sequence[SourceTiming]) -> list[dict[str, Any]]:
    """The rows of the JSON."""
    return [asdict(timing) for timing in timings]


def find_slow(timings: Sequence[SourceTiming]) -> dict[str, list[str]]:
    """The networks whose C takes too long to write, to compile or to load, by what is too long."""
    return {
        f"{WRITE_SECONDS:g} s to write": [item.network for item in timings if item.write_s > WRITE_SECONDS],
        f"{COMPILE_SECONDS:g} s to compile": [
            item.network for item in timings if item.compile_s > COMPILE_SECONDS
        ],
        f"{1e3 * LOAD_SECONDS:g} ms to load": [
            item.network for item in timings if item.load_s > LOAD_SECONDS
        ],
    }


def format_sources(timings: Sequence[SourceTiming]) -> list[str]:
    """The lines of the table."""
    if not timings:
        return []
    head = ("network", "lines", "write, ms", "compile, s", "of the processor", "load, ms")
    rows = [
        (
            item.network,
            str(item.lines),
            f"{1e3 * item.write_s:.1f}",
            f"{item.compile_s:.2f}",
            f"{item.compile_processor_s:.2f}",
            f"{1e3 * item.load_s:.1f}",
        )
        for item in timings
    ]
    slow = [f"{limit}: {', '.join(names) or 'none'}" for limit, names in find_slow(timings).items()]
    return [
        "## generated C: one source for each network, float32",
        "",
        *(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)),
        "",
        f"Compiled for an empty cache, then loaded from it. More than {'; more than '.join(slow)}.",
        "",
    ]
