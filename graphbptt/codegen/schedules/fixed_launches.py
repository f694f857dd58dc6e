"""Launches of the kernels of `graphbptt.codegen.kernels.fixed_kernels`, by what they work on."""

from __future__ import annotations

from collections.abc import Iterator

from graphbptt.codegen.kernels.fixed_kernels import (
    CLEAR_ROWS,
    FILL_HISTORY,
    FILL_PADDING,
    GATHER_ENTRIES,
    SUM_ROWS,
)
from graphbptt.codegen.launches.commands import Launch
from graphbptt.codegen.launches.device_arrays import Region
from graphbptt.codegen.launches.launch_kernel import launch
from graphbptt.codegen.schedules.place_arrays import Places

__all__ = [
    "clear_padding",
    "clear_rows",
    "fill_around",
    "fill_padding",
    "gather_entries",
    "sum_rows",
]


def gather_entries(order: Region, values: Region, out: Region) -> Launch:
    """``out = values[order]``."""
    return launch(
        GATHER_ENTRIES.signature,
        out.size,
        reads=(order, values),
        writes=(out,),
        order=order,
        values=values,
        out=out,
    )


def sum_rows(source: Region, out: Region) -> Launch:
    """Add rows up to as many as `out` has, of which each sums every so many-th one."""
    return launch(
        SUM_ROWS.signature,
        out.size,
        reads=(source,),
        writes=(out,),
        rows=source.rows,
        columns=source.columns,
        source=source,
        source_stride=source.stride,
        out=out,
    )


def clear_rows(region: Region) -> Launch:
    """Zeros."""
    return launch(
        CLEAR_ROWS.signature,
        region.size,
        writes=(region,),
        columns=region.columns,
        out=region,
        out_stride=region.stride,
    )


def fill_around(places: Places, population: str) -> Iterator[Launch]:
    """Fill the rows before step 1 and behind the last step with what the population starts from."""
    view, history = (
        places.plan.placement[population].state,
        places.plan.network.population[population].history,
    )
    before, initial = places.before(view), places.whole(f"initial:{population}")
    yield launch(
        FILL_HISTORY.signature,
        before.size,
        reads=(initial,),
        writes=(before,),
        size=places.shape.size,
        columns=view.width,
        before=places.plan.buffer[view.buffer].before,
        history=history,
        initial=initial,
        out=before,
        out_stride=before.stride,
    )
    first = places.shape.steps if places.shape.ragged else 0
    yield fill_padding(places, population, places.behind(view), initial, first)


def fill_padding(places: Places, population: str, out: Region, initial: Region, first: int) -> Launch:
    """Put the initial rows in place of all that lies behind the ends of sequences.

    `out` is a stretch of steps, which begins `first` steps behind the first one where sequences have their own
    lengths, and behind their end where they have not.
    """
    ragged = places.shape.ragged
    lengths = places.whole("lengths") if ragged else None
    return launch(
        FILL_PADDING.signature,
        out.size,
        reads=(lengths, initial, out if ragged and first < places.shape.steps else None),
        writes=(out,),
        size=places.shape.size,
        columns=out.columns,
        first=first,
        history=places.plan.network.population[population].history,
        lengths=lengths,
        initial=initial,
        out=out,
        out_stride=out.stride,
    )


def clear_padding(places: Places, out: Region) -> Launch:
    """Put zeros behind the ends of sequences that have their own lengths; `out` has all steps."""
    lengths = places.whole("lengths")
    return launch(
        FILL_PADDING.signature,
        out.size,
        reads=(lengths, out),
        writes=(out,),
        size=places.shape.size,
        columns=out.columns,
        first=0,
        history=1,
        lengths=lengths,
        initial=None,
        out=out,
        out_stride=out.stride,
    )
