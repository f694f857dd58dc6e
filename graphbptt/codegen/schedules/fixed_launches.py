"""Launches of the kernels of `graphbptt.codegen.kernels.fixed_kernels`, by what they work on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphbptt.codegen.kernels.fixed_kernels import (
    CLEAR_PADDING,
    CLEAR_ROWS,
    COPY_ROWS,
    FILL_HISTORY,
    FILL_PADDING,
    GATHER_ENTRIES,
    SUM_ROWS,
)
from graphbptt.codegen.launches.commands import Launch
from graphbptt.codegen.launches.device_arrays import Region
from graphbptt.codegen.launches.launch_kernel import launch
from graphbptt.codegen.schedules.place_arrays import Places
from graphbptt.codegen.schedules.place_starts import INITIAL, name_table

__all__ = [
    "clear_padding",
    "clear_rows",
    "copy_rows",
    "fill_around",
    "fill_holds",
    "fill_padding",
    "flatten",
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


def copy_rows(source: Region, out: Region) -> Launch:
    """``out = source``, whose rows lie one behind the other."""
    return launch(
        COPY_ROWS.signature,
        out.size,
        reads=(source,),
        writes=(out,),
        columns=out.columns,
        source=source,
        out=out,
        out_stride=out.stride,
    )


def fill_around(places: Places, buffer: str) -> Iterator[Launch]:
    """Fill the rows of a buffer before step 1 and behind the last step with what its populations start from."""
    before = places.before(places.columns(buffer))
    table, initial = places.whole(name_table(buffer)), places.whole(INITIAL)
    yield launch(
        FILL_HISTORY.signature,
        before.rows * table.rows,
        reads=(table, *_list_initial(places, buffer)),
        writes=places.columns_of(buffer, before),
        size=places.shape.size,
        columns=table.rows,
        before=places.plan.buffer[buffer].before,
        table=table,
        initial=initial,
        initial_stride=initial.stride,
        out=before,
        out_stride=before.stride,
    )
    first = places.shape.steps if places.shape.ragged else 0
    yield fill_padding(places, buffer, places.behind(places.columns(buffer)), first)


def fill_padding(places: Places, buffer: str, rows: Region, first: int) -> Launch:
    """Put what its populations start from in place of all that lies behind the ends of sequences.

    `rows` are those of a stretch of steps, which begins `first` steps behind the first one where sequences have their
    own lengths, and behind their end where they have not.
    """
    columns, initial = tuple(places.columns_of(buffer, rows)), _list_initial(places, buffer)
    return _fill_padding(places, places.whole(name_table(buffer)), initial, rows, columns, first)


def fill_holds(places: Places, population: str) -> Launch:
    """The same for what a population's states are held at."""
    out = flatten(places.whole(f"holds:{population}"), places.plan.network.population[population].units)
    table = places.whole(name_table(f"holds:{population}"))
    return _fill_padding(places, table, [places.initial(population)], out, [out], first=0)


def _fill_padding(
    places: Places, table: Region, reads: Iterable[Region], rows: Region, out: Iterable[Region], first: int
) -> Launch:
    ragged, initial = places.shape.ragged, places.whole(INITIAL)
    lengths = places.whole("lengths") if ragged else None
    kept = out if ragged and first < places.shape.steps else ()
    return launch(
        FILL_PADDING.signature,
        rows.rows * table.rows,
        reads=(lengths, table, *reads, *kept),
        writes=out,
        size=places.shape.size,
        columns=table.rows,
        first=first,
        lengths=lengths,
        table=table,
        initial=initial,
        initial_stride=initial.stride,
        out=rows,
        out_stride=rows.stride,
    )


def _list_initial(places: Places, buffer: str) -> list[Region]:
    """What the populations in a buffer start from."""
    return [places.initial(resident.population) for resident in places.plan.residents[buffer]]


def clear_padding(places: Places, out: Region) -> Launch:
    """Put zeros behind the ends of sequences that have their own lengths; `out` has all steps."""
    lengths = places.whole("lengths")
    return launch(
        CLEAR_PADDING.signature,
        out.size,
        reads=(lengths, out),
        writes=(out,),
        size=places.shape.size,
        columns=out.columns,
        lengths=lengths,
        out=out,
        out_stride=out.stride,
    )


def flatten(region: Region, width: int) -> Region:
    """An array as rows of so many numbers."""
    return Region(region.array, region.offset, region.size // width if width else 0, width, width)
