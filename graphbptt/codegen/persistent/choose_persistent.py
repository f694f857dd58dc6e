"""Whether a scan is better done by one kernel that keeps its weights in shared memory, and by blocks of what shape.

    choice := Persistent(examples, threads, blocks, shared, kept, cycles, launched)     what to launch, and why
            | str                                                                   why not

Both ways are costed in clocks of a multiprocessor (`persistent.costs`). A persistent kernel takes, for each step, what
its rounds take one after the other. Blocks of more examples use each weight that they read more often; blocks of fewer
spread over more multiprocessors, and small ones share one: what waits in one block leaves the arithmetic to the others.
The other way is a launch for each product and each kernel of every step.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphbptt.codegen.lanes import WARP
from graphbptt.codegen.persistent.costs import CACHE, ROUND, cost_launch, cost_round, count_items, itemsize
from graphbptt.codegen.persistent.device_limits import KIB, DeviceLimits
from graphbptt.codegen.persistent.memory import ALIGNED, find_largest, lay_out_shared
from graphbptt.codegen.persistent.products import choose_tile
from graphbptt.codegen.persistent.rounds import find_obstacle, list_rounds
from graphbptt.codegen.precision import Precision
from graphbptt.ir.plan import Plan, Sweep

__all__ = [
    "EXAMPLES",
    "Choice",
    "Persistent",
    "choose_persistent",
    "choose_scans",
    "count_resident",
    "shape_block",
]

EXAMPLES = (1, 2, 4, 8)
"""How many examples a block may have: more would not fit the registers of its threads."""

LARGEST = 512
"""Threads of a block: with so many, each may have 128 registers."""

REGISTERS = 65536
"""Of a multiprocessor, 32 bits each (CUDA C++ Programming Guide)."""
RESERVED = KIB
"""Bytes of shared memory that CUDA itself takes for each block; with these a block may have all that a multiprocessor
has (CUDA C++ Programming Guide, on compute capabilities 8.x and 9.0)."""
BESIDE = 64
"""Registers that a thread needs beside weights that it keeps, about."""
MOST_KEPT = 96
"""Registers with weights that a thread has at most: it may have 255, and its text grows with them."""


@dataclass(frozen=True, slots=True)
class Persistent:
    """A persistent kernel for one shape of batch.

    Attributes
    ----------
    examples, threads : int
        Of a block.
    blocks : int
        How many blocks there are.
    shared : int
        The bytes of shared memory that a block takes.
    kept : int
        The rows of its largest weights that it keeps in registers.
    cycles, launched : int
        Estimates, in clocks, for all steps: of this kernel, and of launches step by step.
    """

    examples: int
    threads: int
    blocks: int
    shared: int
    kept: int
    cycles: int
    launched: int


Choice = Persistent | str


def choose_scans(
    plan: Plan, precision: Precision, steps: int, size: int, limits: DeviceLimits
) -> dict[tuple[int, bool], Choice]:
    """The choice for every loop over steps, by the index of its stage and whether it runs backward."""
    return {
        (index, backward): choose_persistent(plan, sweep, precision, steps, size, limits)
        for index, stage in enumerate(plan.stages)
        for backward, sweep in ((False, stage.forward), (True, stage.backward))
        if sweep.each
    }


def choose_persistent(
    plan: Plan, sweep: Sweep, precision: Precision, steps: int, size: int, limits: DeviceLimits
) -> Choice:
    """The cheapest persistent kernel for a sweep, or why it should not, or cannot, be one.

    Parameters
    ----------
    plan : Plan
    sweep : Sweep
        One direction of one of its stages.
    precision : Precision
        The type of all numbers.
    steps, size : int
        The steps and the examples of a batch.
    limits : DeviceLimits
        The GPU.

    Returns
    -------
    Persistent or str
    """
    obstacle = find_obstacle(plan, sweep)
    if obstacle is not None:
        return obstacle
    if steps == 1:
        return "there is only one step"
    costs = [_cost_persistent(plan, sweep, precision, steps, size, limits, examples) for examples in EXAMPLES]
    fitting = [cost for cost in costs if cost.shared <= limits.shared]
    if not fitting:
        return (
            f"its weights and states take {_format_kib(costs[0].shared)} of shared memory, "
            f"a block has {_format_kib(limits.shared)}"
        )
    best = min(fitting, key=lambda cost: cost.cycles)
    if best.cycles >= best.launched:
        return f"{best.cycles:,} clocks in one kernel, {best.launched:,} launched step by step"
    return best


def shape_block(plan: Plan, sweep: Sweep, examples: int, limits: DeviceLimits) -> int:
    """The threads of a block: one for each item of its largest round, in whole warps, as far as registers last."""
    items = max((count_items(one, examples) for one in list_rounds(plan, sweep)), default=1)
    return min(-(-items // WARP) * WARP, LARGEST, limits.threads)


def _cost_persistent(
    plan: Plan,
    sweep: Sweep,
    precision: Precision,
    steps: int,
    size: int,
    limits: DeviceLimits,
    examples: int,
) -> Persistent:
    """A kernel of blocks of so many examples. Blocks that a multiprocessor has no room for wait for others to end."""
    number, threads = itemsize(precision), shape_block(plan, sweep, examples, limits)
    kept = _count_kept(sweep, precision, limits, examples, threads)
    memory, rounds = lay_out_shared(sweep, examples, kept), list_rounds(plan, sweep)

    def cost_blocks(count: int) -> float:
        """Of so many that share a multiprocessor, all steps."""
        shape = examples, threads, memory, count
        step = sum(cost_round(one, precision, limits, *shape) for one in rounds)
        return ROUND + count * memory.staged * number / CACHE + steps * step

    blocks, shared = -(-size // examples), memory.numbers * number
    resident = count_resident(shared, threads, BESIDE + kept * number // 4, limits)
    waves, others = divmod(-(-blocks // limits.multiprocessors), resident)
    cycles = waves * cost_blocks(resident) + (cost_blocks(others) if others else 0)
    launched = steps * sum(cost_launch(plan, one, precision, size, limits) for one in rounds)
    return Persistent(examples, threads, blocks, shared, kept, round(cycles), round(launched))


def count_resident(shared: int, threads: int, registers: int, limits: DeviceLimits) -> int:
    """How many blocks of so much shared memory, and of so many threads with their registers, a multiprocessor runs at a
    time: one at least, as one that has too much is none.

    >>> from graphbptt.codegen.persistent.device_limits import DEVICES
    >>> [count_resident(size * KIB, 256, 64, DEVICES["sm_90"]) for size in (8, 64, 113, 114, 300)]
    [4, 3, 2, 1, 1]
    """
    return max(
        1,
        min(
            (limits.shared + RESERVED) // (shared + RESERVED),
            limits.resident_threads // threads,
            limits.resident_blocks,
            REGISTERS // (registers * threads),
        ),
    )


def _count_kept(sweep: Sweep, precision: Precision, limits: DeviceLimits, examples: int, threads: int) -> int:
    """The fewest rows of the largest weights that have to be kept in registers for the others to fit, if they are not
    too many: a thread keeps them of one column, so that each must have no more than one."""
    number, largest = itemsize(precision), find_largest(sweep)
    words = number // 4
    if largest is None:
        return 0
    columns = largest.out.width
    items = columns * (examples // choose_tile(columns, examples))
    spare = (REGISTERS // threads - BESIDE) // words if items <= threads else 0
    rows = range(0, min(spare + 1, MOST_KEPT // words + 1, largest.source.width), ALIGNED)
    return next(
        (kept for kept in rows if lay_out_shared(sweep, examples, kept).numbers * number <= limits.shared),
        0,
    )


def _format_kib(count: int) -> str:
    return f"{count / KIB:,.1f} KiB"
