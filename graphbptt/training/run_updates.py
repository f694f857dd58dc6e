"""Updates where the plan is run, one after the other, with the host's part of one beside the device's part of another.

1. An update has three parts: the host takes a batch to where it is copied from (`prepare`), the device runs forward and
   backward and updates the parameters (`start`), the host reads what became of it (`finish`).
2. The first needs nothing of the update before, and is most of what the host does: to choose and bind the examples, and
   to put them where the device copies them from. So the next batch is prepared while an update runs.
3. Nothing is started before it is known, and judged by the caller, what became of the update before. So numbers, what
   is left where one fails, and which batch it was are those of one update after the other.
4. The host writes to memory that an update was copied from as soon as the copies are done, which is long before the
   update is: it needs no second memory, and neither does the device.
5. What the device waits for is that an update is judged and the next batch is copied and started, as without this;
   what it no longer waits for is that the host makes one ready.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphbptt.backend import Outcome, Updater
from graphbptt.ir.batch import Batch

__all__ = ["run_updates"]


def run_updates(updater: Updater, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Outcome]]:
    """Update by each batch, and tell what became of it; the next one is prepared by then, and not started.

    However this ends, by an interrupt or by an error in a batch, no update is left running.
    """
    running: Batch | None = None
    try:
        for batch in batches:
            updater.prepare(batch)
            if running is not None:
                yield running, updater.finish()
            running = batch
            updater.start()
        if running is not None:
            yield running, updater.finish()
    finally:
        updater.settle()
