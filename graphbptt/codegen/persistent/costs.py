"""What a round takes, in clocks of a multiprocessor: inside a persistent kernel, and as a launch of its own.

A round takes as long as its slowest part. What a multiprocessor does in a clock it does for the threads that have
something to do: one warp keeps one of its four schedulers at work, whatever else it could do. A thread that has several
items does one after the other, and what waits for something else, such as the terms of a sum, takes its time however
few there are.

Numbers that are said to be estimates have not been measured on a GPU. They decide where both ways are about as good.
"""

from __future__ import annotations

from graphbptt.codegen.lanes import WARP
from graphbptt.codegen.persistent.device_limits import DeviceLimits
from graphbptt.codegen.persistent.effort import Effort, measure_effort
from graphbptt.codegen.persistent.memory import SharedMemory
from graphbptt.codegen.persistent.products import choose_tile
from graphbptt.codegen.persistent.rounds import Round
from graphbptt.codegen.precision import Precision
from graphbptt.codegen.rows.row_groups import count_columns
from graphbptt.ir.operations import Product
from graphbptt.ir.plan import Plan
from graphbptt.ir.plan_costs import count_flops

__all__ = ["CACHE", "ROUND", "cost_items", "cost_launch", "cost_round", "count_items", "itemsize"]

LAUNCH = 3000
"""Clocks from one kernel of a recorded graph to the next, about 2 microseconds: an estimate."""
READ = 300
"""Clocks until a number of the second cache is there: an estimate."""
BARRIER = 100
"""Clocks of a barrier, for which all threads of a block wait: an estimate."""
ROUND = READ + BARRIER
CACHE = 64
"""Bytes that a multiprocessor has of the second cache in a clock: an estimate."""
ADDITION = 4
"""Clocks until a sum can be added to (Jia et al., Dissecting the NVIDIA Volta GPU Architecture, 2018)."""
SCHEDULERS = 4
"""Of a multiprocessor: each starts what one of its warps does (CUDA C++ Programming Guide)."""
RECIPROCALS = 16
"""Results in a clock of a multiprocessor, of reciprocals as of the other special functions; multiplications with an
addition are 64 or 128 (CUDA C++ Programming Guide, table of the throughput of native arithmetic instructions)."""
BANKS = 128
"""Bytes that shared memory delivers in a clock: 32 banks of 4 bytes (CUDA C++ Programming Guide)."""
QUAD = 16
"""Bytes that a thread reads at once."""
SHARE = 0.25
"""What part of a GPU's arithmetic products of this size reach when they are launched: an estimate."""
RESIDENT = 1024
"""Threads of launched kernels that a multiprocessor runs at a time, about."""


def count_items(one: Round, examples: int) -> int:
    """What is dealt to the threads of a block."""
    if isinstance(one.work, Product):
        columns = one.work.out.width
        return columns * (examples // choose_tile(columns, examples))
    return count_columns(one.work, WARP) * examples


def cost_round(
    one: Round,
    precision: Precision,
    limits: DeviceLimits,
    examples: int,
    threads: int,
    memory: SharedMemory,
    blocks: int = 1,
) -> float:
    """Clocks that a block takes for a round, where so many like it share a multiprocessor."""
    if not isinstance(one.work, Product):
        effort, items = measure_effort(one.work, precision.name), blocks * count_items(one, examples)
        return BARRIER + cost_items(effort, items, blocks * threads, precision, limits)
    product, size = one.work, itemsize(precision)
    depth, columns = product.source.width, product.out.width
    tile, items = choose_tile(columns, examples), count_items(one, examples)
    warps, turns = blocks * -(-items // WARP), -(-items // threads)
    # Where one thread takes all examples, what it reads of them at one depth lies beside that of the next.
    whole = tile == examples
    weights, states = WARP * size / BANKS, max(tile * size / QUAD, 0 if whole else 1)
    reads = warps * ((depth - memory.find(product).kept) * weights + depth * states)
    effort = Effort(depth * tile, 0, depth)
    arithmetic = _cost_operations(effort, blocks * items, blocks * threads, precision, limits)
    staged = blocks * depth * examples * size / CACHE
    return 2 * ROUND + staged + max(reads, arithmetic, turns * depth * ADDITION)


def cost_items(effort: Effort, items: int, threads: int, precision: Precision, limits: DeviceLimits) -> float:
    """Clocks of so many items on a multiprocessor that has so many threads for them."""
    turns = -(-items // threads)
    memory = items * effort.numbers * itemsize(precision) / CACHE
    chain = turns * (READ + effort.chain * ADDITION)
    return max(_cost_operations(effort, items, threads, precision, limits), memory, chain)


def _cost_operations(
    effort: Effort, items: int, threads: int, precision: Precision, limits: DeviceLimits
) -> float:
    """Clocks of arithmetic. Warps that are not full take as long as those that are."""
    warps = -(-items // WARP)
    busy = min(warps, -(-threads // WARP), SCHEDULERS) / SCHEDULERS
    operations = effort.operations / limits.rate(precision.name)
    return warps * WARP / busy * max(operations, effort.reciprocals / RECIPROCALS) if warps else 0


def cost_launch(plan: Plan, one: Round, precision: Precision, size: int, limits: DeviceLimits) -> float:
    """Clocks of a product or a kernel of one step of all examples, launched on all multiprocessors."""
    if not isinstance(one.work, Product):
        items = -(-count_items(one, size) // limits.multiprocessors)
        return LAUNCH + cost_items(
            measure_effort(one.work, precision.name), items, RESIDENT, precision, limits
        )
    arithmetic = limits.multiprocessors * limits.rate(precision.name) * SHARE
    return LAUNCH + count_flops(plan, [one.work]) / 2 * size / arithmetic


def itemsize(precision: Precision) -> int:
    """The bytes of a number."""
    return 4 if precision.name == "float32" else 8
