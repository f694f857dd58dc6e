"""Products inside a persistent kernel: weights that are loaded once, states that are staged at each step.

A thread makes the numbers of one column for a few examples, which it keeps in registers: each weight that it reads
serves all of them. Neighbours read neighbouring weights, and the same states.
"""

from __future__ import annotations

from graphbptt.codegen.arguments import Arguments, Weights
from graphbptt.codegen.persistent_memory import ALIGNED, Resident, SharedMemory
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
    """Copy the weights of a product as it reads them; threads that are neighbours read neighbouring numbers."""
    depth, columns, stride = resident.depth, resident.columns, resident.stride
    width = next(item.columns for item in arguments.plan.matrices if item.name == resident.weights)
    inner = depth if resident.transposed else columns  # how much of each row of the packed matrix
    outer = columns if resident.transposed else depth
    k, j = ("column", "row") if resident.transposed else ("row", "column")
    source = f"{arguments.name(Weights(resident.weights))}[row * {width} + column]"
    body = [
        f"const int row = item / {inner}, column = item % {inner};",
        f"real *const weights = {resident.start};",
        f"weights[{k} * {stride} + {j}] = {source};",
    ]
    return each_item(inner * outer, threads, body)


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
    # Where one thread takes all examples the compiler sees that the states it reads lie side by side.
    split = f"j = item % {columns}, first = item / {columns} * {tile}"
    body = [
        f"const int {'j = item, first = 0' if tile == examples else split};",
        f"const real *const weights = {resident.start} + j;",
        f"const real *const states = shared + {memory.staged} + first;",
        f"real sums[{tile}] = {{0}};",
        f"UNROLL({max(ALIGNED, READS // tile)})",
        f"for (int k = 0; k < {product.source.width}; k++)",
        f"    {each_example} sums[e] += weights[k * {resident.stride}] * states[k * {examples} + e];",
        *block(each_example, block("if (first + e < count)", store)),
    ]
    return each_item(columns * examples // tile, threads, body)
