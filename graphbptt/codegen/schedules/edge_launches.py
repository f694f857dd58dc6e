"""Launches of the kernels at the edges, by what they work on: copies, starting rows, terms of the loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy.typing as npt

from graphbptt.codegen.kernels.copy_maps import LinearMap, initial_block
from graphbptt.codegen.kernels.loss_kernels import LossKernel
from graphbptt.codegen.kernels.sums import count_threads
from graphbptt.codegen.launches.launch_plan import (
    THREADS,
    Address,
    ArgumentValue,
    DeviceArray,
    Launch,
    Region,
    launch,
)
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.schedules.place_arrays import (
    ARRIVED,
    COUNTS,
    FLAGS,
    GIVEN,
    LOSSES,
    NO_PAST,
    PARTIAL,
    Places,
)
from graphbptt.ir.plan import InitialSite, LossSite

__all__ = [
    "apply_map",
    "gather_starts",
    "launch_sum",
    "measure_loss",
    "place_map",
    "start_states",
]


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
    given = [array.whole() for array in arrays]
    starts, sources, *factors = map(_address, given)
    arguments = (
        starts, sources, factors[0] if factors else None, _address(divisors), numbers.size, _address(numbers),
        out.address,
    )  # fmt: skip
    known = (region for region in (*given, *reads, divisors) if region is not None and region.size)
    return launch("apply_map", out.size, arguments, reads=known, writes=(out,))


def launch_sum(
    kernel: str,
    numbers: int,
    arguments: Sequence[ArgumentValue],
    reads: Iterable[Region],
    writes: Iterable[Region],
) -> Launch:
    """A kernel of `kernels.sums` over so many numbers; the arguments are those behind what all have."""
    threads, arrived = count_threads(numbers), ARRIVED.whole()
    blocks = threads // THREADS
    partial = Region(PARTIAL.name, 0, 1, blocks, blocks)
    given = (numbers, partial.address, arrived.address, *arguments)
    return launch(kernel, threads, given, reads=(arrived, *reads), writes=(partial, arrived, *writes))


def start_states(places: Places, population: str) -> Launch:
    """The rows from which each example starts."""
    initial, out = places.copy(initial_block(population)), places.whole(f"initial:{population}")
    starts, flags = places.whole(f"starts:{population}"), places.whole(FLAGS)
    started = _find(places, f"started:{population}")
    arguments = (
        places.shape.size, out.columns, Address(FLAGS, GIVEN), initial.address, _address(started), starts.address,
        out.address,
    )  # fmt: skip
    reads = [region for region in (flags, initial, started, starts) if region is not None]
    return launch("start_states", out.size, arguments, reads=reads, writes=(out,))


def gather_starts(places: Places, site: InitialSite) -> Launch:
    """The derivative by an initial state, from the rows around the steps."""
    buffer, shape = places.plan.buffer[site.delta.buffer], places.shape
    out = places.copy(initial_block(site.population), derivative=True)
    lengths, started = _find(places, "lengths"), _find(places, f"started:{site.population}")
    arguments = (
        shape.size, out.columns, buffer.before, buffer.after, shape.steps, Address(FLAGS, NO_PAST), _address(started),
        _address(lengths), Address(buffer.name, site.delta.start), buffer.width, out.address,
    )  # fmt: skip
    around = [
        region
        for region in (
            places.before(site.delta),
            places.steps(site.delta) if shape.ragged else None,
            places.behind(site.delta),
        )
        if region is not None and region.size
    ]
    reads = [region for region in (places.whole(FLAGS), lengths, started, *around) if region is not None]
    return launch("gather_starts", out.size, arguments, reads=reads, writes=(out,))


def measure_loss(places: Places, kernel: LossKernel, site: LossSite) -> Launch:
    """A term of the loss, and its derivative."""
    number = site.term
    predicted = places.steps(site.predicted)
    delta = None if site.delta is None else places.steps(site.delta)
    columns, wanted = _find(places, f"columns:{number}"), _find(places, f"wanted:{number}")
    weights, counts = places.whole(f"weights:{number}"), Region(COUNTS, number, 1, 1, 1)
    mean = Region(LOSSES, number, 1, 1, 1)
    arguments = (
        predicted.address, predicted.stride, _address(columns), _address(wanted), weights.address, counts.address,
        _address(delta), 0 if delta is None else delta.stride, mean.address,
    )  # fmt: skip
    added = delta if site.accumulate else None
    reads = (predicted, columns, wanted, weights, counts, added)
    return launch_sum(
        kernel.name,
        predicted.rows * kernel.per_row,
        arguments,
        reads=[region for region in reads if region is not None],
        writes=[region for region in (delta, mean) if region is not None],
    )


def _find(places: Places, name: str) -> Region | None:
    """What there is only for some plans, or some shapes of batches."""
    return places.whole(name) if name in places.arrays else None


def _address(region: Region | None) -> Address | None:
    """NULL where there is nothing."""
    return None if region is None or not region.size else region.address
