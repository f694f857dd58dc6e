"""Launches of the kernels of `graphbptt.codegen.kernels.fixed_kernels`, by what they work on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from graphbptt.codegen.launches.launch_plan import Address, Launch, Region, launch
from graphbptt.codegen.schedules.place_arrays import Places

__all__ = [
    "EntryParts",
    "clear_padding",
    "clear_rows",
    "contract_entries",
    "fill_around",
    "fill_padding",
    "gather_entries",
    "multiply_entries",
    "sum_rows",
]


class EntryParts(NamedTuple):
    """Weights as entries: where those of each column of a product begin, the row and the weight of each."""

    starts: Region
    sources: Region
    values: Region


def multiply_entries(source: Region, weights: EntryParts, out: Region, accumulate: bool) -> Launch:
    """``out (+)= source @ weights``."""
    starts, sources, values = (region.address for region in weights)
    arguments = (
        out.columns, source.address, source.stride, starts, sources, values, out.address, out.stride,
        int(accumulate),
    )  # fmt: skip
    added = (out,) if accumulate else ()
    return launch("multiply_entries", out.size, arguments, reads=(source, *weights, *added), writes=(out,))


def contract_entries(source: Region, delta: Region, rows: Region, columns: Region, out: Region) -> Launch:
    """``source.T @ delta`` at some rows and columns."""
    arguments = (
        source.rows, source.address, source.stride, delta.address, delta.stride, rows.address, columns.address,
        out.address,
    )  # fmt: skip
    return launch(
        "contract_entries", out.size, arguments, reads=(source, delta, rows, columns), writes=(out,)
    )


def gather_entries(order: Region, values: Region, out: Region) -> Launch:
    """``out = values[order]``."""
    arguments = (order.address, values.address, out.address)
    return launch("gather_entries", out.size, arguments, reads=(order, values), writes=(out,))


def sum_rows(source: Region, out: Region) -> Launch:
    """Add rows up to as many as `out` has, of which each sums every so many-th one."""
    arguments = (source.rows, source.columns, source.address, source.stride, out.address)
    return launch("sum_rows", out.size, arguments, reads=(source,), writes=(out,))


def clear_rows(region: Region) -> Launch:
    """Zeros."""
    arguments = (region.columns, region.address, region.stride)
    return launch("clear_rows", region.size, arguments, writes=(region,))


def fill_around(places: Places, population: str) -> Iterator[Launch]:
    """Fill the rows before step 1 and behind the last step with what the population starts from."""
    view, history = (
        places.plan.placement[population].state,
        places.plan.network.population[population].history,
    )
    before, initial = places.before(view), places.whole(f"initial:{population}")
    rows = places.plan.buffer[view.buffer].before
    arguments = (
        places.shape.size, view.width, rows, history, initial.address, before.address, before.stride,
    )  # fmt: skip
    yield launch("fill_history", before.size, arguments, reads=(initial,), writes=(before,))
    first = places.shape.steps if places.shape.ragged else 0
    yield fill_padding(places, population, places.behind(view), initial, first)


def fill_padding(places: Places, population: str, out: Region, initial: Region, first: int) -> Launch:
    """Put the initial rows in place of all that lies behind the ends of sequences.

    `out` is a stretch of steps, which begins `first` steps behind the first one where sequences have their own
    lengths, and behind their end where they have not.
    """
    history, ragged = places.plan.network.population[population].history, places.shape.ragged
    lengths = places.whole("lengths") if ragged else None
    given = (initial,) if lengths is None else (lengths, initial)
    kept = (out,) if ragged and first < places.shape.steps else ()
    arguments = (
        places.shape.size, out.columns, first, history, _address(lengths), initial.address, out.address, out.stride,
    )  # fmt: skip
    return launch("fill_padding", out.size, arguments, reads=(*given, *kept), writes=(out,))


def clear_padding(places: Places, out: Region) -> Launch:
    """Put zeros behind the ends of sequences that have their own lengths; `out` has all steps."""
    lengths = places.whole("lengths")
    arguments = (
        places.shape.size, out.columns, 0, 1, lengths.address, None, out.address, out.stride,
    )  # fmt: skip
    return launch("fill_padding", out.size, arguments, reads=(lengths, out), writes=(out,))


def _address(region: Region | None) -> Address | None:
    return None if region is None else region.address
