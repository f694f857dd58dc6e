"""Launches of the kernels at the edges, by what they work on: copies, starting rows, terms of the loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isqrt
from typing import Any

import numpy.typing as npt

from graphbptt.codegen.kernels.copy_maps import LinearMap, initial_block
from graphbptt.codegen.kernels.edge_kernels import APPLY_MAP, GATHER_STARTS, START_STATES
from graphbptt.codegen.kernels.loss_kernels import LossKernel
from graphbptt.codegen.kernels.sums import count_threads
from graphbptt.codegen.launches.commands import THREADS, ArgumentValue, Launch, Signature
from graphbptt.codegen.launches.device_arrays import Address, DeviceArray, Region
from graphbptt.codegen.launches.launch_kernel import launch
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.schedules.fixed_launches import sum_rows
from graphbptt.codegen.schedules.place_arrays import ARRIVED, COPIES, COUNTS, LOSSES, PARTIAL, Places
from graphbptt.codegen.schedules.place_starts import FLAGS, GIVEN, INITIAL, NO_PAST, SOURCES, STARTED, STARTS
from graphbptt.ir.plan import InitialSite, LossSite

__all__ = [
    "ONCE",
    "apply_map",
    "count_parts",
    "gather_starts",
    "launch_sum",
    "measure_loss",
    "place_gathered",
    "place_map",
    "start_states",
]

GATHERED = "gathered"
"""Scratch: sums over parts of a batch."""

ONCE = 16
"""Examples that one thread adds up: to read more, one after the other, takes longer than a launch. An estimate."""


def place_map(name: str, table: LinearMap, precision: Precision) -> list[DeviceArray]:
    """The arrays of a map; without factors where all are 1."""
    arrays: list[tuple[str, npt.NDArray[Any], str]] = [
        ("starts", table.starts, "int32"),
        ("sources", table.sources, "int32"),
    ]
    if not (table.factors == 1).all():
        arrays.append(("factors", table.factors, precision.name))
    return [
        DeviceArray(f"{name}:{part}", "constant", values.shape, dtype, values.astype(dtype))
        for part, values, dtype in arrays
    ]


def apply_map(
    arrays: Iterable[DeviceArray],
    numbers: Region,
    reads: Iterable[Region],
    out: Region,
    divisors: Region | None = None,
) -> Launch:
    """The rows of the map in these arrays; of the `numbers`, behind which it finds a 1, it `reads` some."""
    starts, sources, *rest = (array.whole() for array in arrays)
    factors = rest[0] if rest else None
    return launch(
        APPLY_MAP.signature,
        out.size,
        reads=(starts, sources, factors, *reads, divisors),
        writes=(out,),
        starts=starts,
        sources=sources,
        factors=factors,
        divisors=divisors,
        size=numbers.size,
        numbers=numbers,
        out=out,
    )


def launch_sum(
    signature: Signature,
    numbers: int,
    *,
    reads: Iterable[Region | None],
    writes: Iterable[Region | None],
    **arguments: ArgumentValue | Region,
) -> Launch:
    """A kernel of `kernels.sums` over so many numbers; the arguments are those behind what all have."""
    threads, arrived = count_threads(numbers), ARRIVED.whole()
    blocks = threads // THREADS
    partial = Region(PARTIAL.name, 0, 1, blocks, blocks)
    return launch(
        signature,
        threads,
        reads=(arrived, *reads),
        writes=(partial, arrived, *writes),
        numbers=numbers,
        partial=partial,
        arrived=arrived,
        **arguments,
    )


def start_states(places: Places) -> Launch:
    """What each example starts from, unless it is there."""
    out, sources = places.whole(INITIAL), places.whole(SOURCES)
    copies = [places.copy(initial_block(population.name)) for population in places.plan.network.populations]
    starts, started = _find(places, STARTS), _find(places, STARTED)
    return launch(
        START_STATES.signature,
        out.size,
        reads=(places.whole(FLAGS), sources, *copies, started, starts, out),
        writes=(out,),
        columns=out.columns,
        carried=Address(FLAGS, GIVEN),
        sources=sources,
        copies=Address(COPIES),
        started=started,
        starts=starts,
        out=out,
    )


def place_gathered(places: Places, sites: Iterable[InitialSite], precision: Precision) -> DeviceArray:
    """Room for what parts of a batch add to the derivative by an initial state."""
    sizes = (places.copy(initial_block(site.population)).size for site in sites)
    size = count_parts(places.shape.size) * max(sizes, default=0)
    return DeviceArray(GATHERED, "scratch", (size,), precision.name)


def count_parts(examples: int) -> int:
    """As many as each of them has examples, in which a batch is added up, if it is not small.

    >>> count_parts(16), count_parts(17), count_parts(4096)
    (1, 5, 64)
    """
    return isqrt(examples - 1) + 1 if examples > ONCE else 1


def gather_starts(places: Places, site: InitialSite) -> Iterator[Launch]:
    """The derivative by an initial state, from the rows around the steps: in two passes where the batch is large, over
    some examples each and then over these sums."""
    out = places.copy(initial_block(site.population), derivative=True)
    parts = count_parts(places.shape.size)
    if parts == 1:
        yield _gather_starts(places, site, out.rows, out)
    else:
        sums = Region(GATHERED, 0, parts, out.size, out.size)
        yield _gather_starts(places, site, out.rows, sums)
        yield sum_rows(sums, out)


def _gather_starts(places: Places, site: InitialSite, history: int, out: Region) -> Launch:
    """Its parts, one behind the other."""
    buffer, shape, delta = places.plan.buffer[site.delta.buffer], places.shape, site.delta
    lengths, started = _find(places, "lengths"), _find_started(places, site.population)
    steps = places.steps(delta) if shape.ragged else None
    return launch(
        GATHER_STARTS.signature,
        out.size,
        reads=(places.whole(FLAGS), lengths, started, places.before(delta), steps, places.behind(delta)),
        writes=(out,),
        size=shape.size,
        columns=delta.width,
        history=history,
        before=buffer.before,
        after=buffer.after,
        steps=shape.steps,
        carried=Address(FLAGS, NO_PAST),
        started=started,
        started_stride=0 if started is None else started.stride,
        lengths=lengths,
        delta=Address(buffer.name, delta.start),
        delta_stride=buffer.width,
        out=out,
    )


def _find_started(places: Places, population: str) -> Region | None:
    """Where clamps give a population what it starts from, if any do."""
    clamped = any(clamp.at == "start" and clamp.node == population for clamp in places.plan.network.clamps)
    return places.initial(population, STARTED) if clamped else None


def measure_loss(places: Places, kernel: LossKernel, site: LossSite) -> Launch:
    """A term of the loss, and its derivative."""
    number = site.term
    predicted = places.steps(site.predicted)
    delta = None if site.delta is None else places.steps(site.delta)
    columns, wanted = _find(places, f"columns:{number}"), _find(places, f"wanted:{number}")
    weights, count = places.whole(f"weights:{number}"), Region(COUNTS, number, 1, 1, 1)
    mean = Region(LOSSES, number, 1, 1, 1)
    return launch_sum(
        kernel.signature,
        predicted.rows * kernel.per_row,
        reads=(predicted, columns, wanted, weights, count, delta if site.accumulate else None),
        writes=(delta, mean),
        predicted=predicted,
        stride=predicted.stride,
        columns=columns,
        wanted=wanted,
        weights=weights,
        count=count,
        delta=delta,
        delta_stride=0 if delta is None else delta.stride,
        mean=mean,
    )


def _find(places: Places, name: str) -> Region | None:
    """What there is only for some plans, or some shapes of batches."""
    return places.whole(name) if name in places.arrays else None
