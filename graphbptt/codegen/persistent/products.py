"""Products inside a persistent kernel: weights that are loaded once, states that are staged at each step.

A thread makes the numbers of one column for a few examples, which it keeps in registers: each weight that it reads
serves all of them. Neighbours read neighbouring weights, and the same states.
"""

from __future__ import annotations

from graphbptt.codegen.arguments import Weights
from graphbptt.codegen.name_arguments import Arguments
from graphbptt.codegen.persistent.memory import ALIGNED, Resident, SharedMemory
from graphbptt.codegen.text import block
from graphbptt.ir.operations import Product

__all__ = ["BUSY", "choose_tile", "each_item", "load_weights", "multiply", "stage_states"]

BUSY = 128
"""Threads that keep a multiprocessor at work: a warp for each of its four schedulers."""

READS = 16
"""States that a thread reads ahead, about: with many more, its registers would not do."""


def choose_tile(columns: int, examples: int) -> int:
    """How many examples a thread takes: as many as leave enough threads with something to do. A power of 2.

    >>> choose_tile(256, 8), choose_tile(64, 8), choose_tile(5, 8)
    (8, 4, 1)
    """
    tile = examples
    while tile > 1 and columns * (examples // tile) < BUSY:
        tile //= 2
    return tile


def each_item(count: int | str, threads: int, body: list[str]) -> list[str]:
    """Items one after the other, dealt to the threads of a block in turn."""
    return block(f"for (int item = thread; item < {count}; item += {threads})", body)


def load_weights(resident: Resident, arguments: Arguments, threads: int) -> list[str]:
    """Copy the weights of a product as it reads them; threads that are neighbours read neighbouring numbers.

    Of the rows that are kept in registers each thread copies its own column.
    """
    depth, columns, stride, kept = (
        resident.depth - resident.kept,
        resident.columns,
        resident.stride,
        resident.kept,
    )
    width = next(item.columns for item in arguments.plan.matrices if item.name == resident.weights)
    inner = depth if resident.transposed else columns  # how much of each row of the packed matrix
    outer = columns if resident.transposed else depth
    k, j = ("column", "row") if resident.transposed else ("row", "column")
    matrix = arguments.name(Weights(resident.weights))
    here = f"({k} + {kept})" if kept else k
    place = f"{j} * {width} + {here}" if resident.transposed else f"{here} * {width} + {j}"
    body = [
        f"const int row = item / {inner}, column = item % {inner};",
        f"real *const weights = {resident.start};",
        f"weights[{k} * {stride} + {j}] = {matrix}[{place}];",
    ]
    place = (
        f"thread % {columns} * {width} + k" if resident.transposed else f"k * {width} + thread % {columns}"
    )
    own = [
        f"OWN({resident.own})",
        f"UNROLL({kept})",
        f"for (int k = 0; k < {kept}; k++) {resident.own}[k] = {matrix}[{place}];",
    ]
    return [*each_item(inner * outer, threads, body), *(own if kept else ())]


def stage_states(
    product: Product, memory: SharedMemory, arguments: Arguments, examples: int, threads: int
) -> list[str]:
    """Copy the states that a product reads; those of examples that are not there are zeros."""
    depth = product.source.width
    body = [
        f"const int k = item % {depth}, e = item / {depth};",
        "const ptrdiff_t row = t * size + begin + e;",
        f"shared[{memory.staged} + k * {examples} + e] = e < count ? {arguments.column(product.source, 'k')} : 0;",
    ]
    return each_item(depth * examples, threads, body)


def multiply(
    product: Product, memory: SharedMemory, arguments: Arguments, examples: int, threads: int
) -> list[str]:
    """Products of staged states with the weights, added to the result or put there."""
    resident, columns = memory.find(product), product.out.width
    tile = choose_tile(columns, examples)
    store = [
        "const ptrdiff_t row = t * size + begin + first + e;",
        f"{arguments.column(product.out, 'j')} {'+=' if product.accumulate else '='} sums[e];",
    ]
    each_example = f"for (int e = 0; e < {tile}; e++)"
    kept, depth = resident.kept, product.source.width
    own = [
        f"UNROLL({kept})",
        f"for (int k = 0; k < {kept}; k++)",
        f"    {each_example} sums[e] += {resident.own}[k] * states[k * {examples} + e];",
    ]
    # Where one thread takes all examples the compiler sees that the states it reads lie side by side.
    split = f"j = item % {columns}, first = item / {columns} * {tile}"
    body = [
        f"const int {'j = item, first = 0' if tile == examples else split};",
        f"const real *const weights = {resident.start} + j;",
        f"const real *const states = shared + {memory.staged} + first;",
        f"real sums[{tile}] = {{0}};",
        *(own if kept else ()),
        f"UNROLL({max(ALIGNED, READS // tile)})",
        f"for (int k = {kept}; k < {depth}; k++)",
        f"    {each_example} sums[e] += weights[{f'(k - {kept})' if kept else 'k'} * {resident.stride}] "
        f"* states[k * {examples} + e];",
        *block(each_example, block("if (first + e < count)", store)),
    ]
    items = columns * examples // tile
    if not kept:
        return each_item(items, threads, body)
    return [f"OWN({resident.own})", *block(f"if (thread < {items})", ["const int item = thread;", *body])]
