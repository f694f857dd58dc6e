"""Launches of the kernels of `graphbptt.codegen.kernels.fixed_kernels`, by what they work on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from graphbptt.codegen.kernels.fixed_kernels import (
    CLEAR_ROWS,
    CONTRACT_ENTRIES,
    FILL_HISTORY,
    FILL_PADDING,
    GATHER_ENTRIES,
    MULTIPLY_ENTRIES,
    SUM_ROWS,
)
from graphbptt.codegen.launches.commands import Launch
from graphbptt.codegen.launches.device_arrays import Region
from graphbptt.codegen.launches.launch_kernel import launch
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
    rows: Region
    values: Region


def multiply_entries(source: Region, weights: EntryParts, out: Region, accumulate: bool) -> Launch:
    """``out (+)= source @ weights``."""
    return launch(
        MULTIPLY_ENTRIES.signature,
        out.size,
        reads=(source, *weights, out if accumulate else None),
        writes=(out,),
        columns=out.columns,
        source=source,
        source_stride=source.stride,
        starts=weights.starts,
        rows=weights.rows,
        values=weights.values,
        out=out,
        out_stride=out.stride,
        accumulate=int(accumulate),
    )


def contract_entries(source: Region, delta: Region, rows: Region, columns: Region, out: Region) -> Launch:
    """``source.T @ delta`` at some rows and columns."""
    return launch(
        CONTRACT_ENTRIES.signature,
        out.size,
        reads=(source, delta, rows, columns),
        writes=(out,),
        count=source.rows,
        source=source,
        source_stride=source.stride,
        delta=delta,
        delta_stride=delta.stride,
        rows=rows,
        columns=columns,
        gradient=out,
    )


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
