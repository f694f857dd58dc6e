"""Threads that share a batch: started once, asleep between calls, each with its own examples for a whole sequence.

C functions run without the interpreter's lock, so threads of Python do. They never wait by spinning: those of a linear
algebra library, which take their turn between the loops, find all cores free.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache, partial
from itertools import pairwise

__all__ = ["bind_together", "count_cores", "count_parts", "run_together", "split_examples"]

FLOPS_WORTH_A_THREAD = 1e7
"""To wake a thread takes tens of microseconds: as long as a core needs for a tenth of this."""

FEWEST_EXAMPLES = 6
"""A thread with fewer would not fill the tiles of its products."""


def count_cores(environ: Mapping[str, str] = os.environ) -> int:
    """The cores that this process may use, or fewer where OMP_NUM_THREADS says so, as it does to other libraries.

    >>> count_cores({"OMP_NUM_THREADS": "1"})
    1
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(available, int(wanted)) if wanted.isdecimal() and int(wanted) else available


def count_parts(flops: float, cores: int) -> int:
    """Between how many threads so much work is worth splitting.

    >>> count_parts(1e9, 4), count_parts(2.5e7, 4), count_parts(1, 4)
    (4, 2, 1)
    """
    return max(1, min(cores, int(flops / FLOPS_WORTH_A_THREAD)))


def split_examples(size: int, flops: float, cores: int) -> list[tuple[int, int]]:
    """The examples of each thread, as many threads as are worth it.

    >>> split_examples(64, 1e9, 2), split_examples(64, 1e6, 2), split_examples(10, 1e9, 4)
    ([(0, 32), (32, 64)], [(0, 64)], [(0, 10)])
    """
    parts = max(1, min(size // FEWEST_EXAMPLES, count_parts(flops, cores)))
    ends = [size * part // parts for part in range(parts + 1)]
    return list(pairwise(ends))


def bind_together(calls: Sequence[Callable[[], object]]) -> Callable[[], object]:
    """One call that makes all of these at once; of a single one, that one itself."""
    return calls[0] if len(calls) == 1 else partial(run_together, calls)


def run_together(calls: Sequence[Callable[[], object]]) -> None:
    """Run calls at once, the first in this thread. All have ended when it returns or raises."""
    others: list[Future[object]] = []
    try:
        others.extend(_threads(os.getpid()).submit(call) for call in calls[1:])
        calls[0]()
    finally:
        _wait_for(others)
    for other in others:
        other.result()


def _wait_for(calls: Sequence[Future[object]]) -> None:
    """However often it is interrupted: calls write into memory that is used for something else afterwards."""
    try:
        wait(calls)
    except BaseException:
        _wait_for(calls)
        raise


@cache
def _threads(process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - a fork has none of its parent's threads
    return ThreadPoolExecutor(count_cores({}), thread_name_prefix="graphbptt")
