"""How many copies the parameters have in a batch, where the mean of their derivatives is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import numpy as np

from graphbptt.ir.batch import Batch
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.indices import Indices

__all__ = ["CopyCounts"]

KEPT = 16
"""Of so many lengths of batches the numbers are kept; those counted first go first."""


class CopyCounts:
    """What the sums of the groups that combine by `mean` are divided by: the number of their copies; of entries that
    are copies, where index maps read them.

    There may be none, if all its targets are clamped: then the sum is zero, and is divided by 1.
    """

    def __init__(self, network: FoldedNetwork) -> None:
        self._network = network
        self._averaged = [g.name for g in network.groups if g.trainable and g.combine == "mean"]
        self._last_fixed = max(chain((0,), *network.fixed_steps.values()))
        self._kept: dict[tuple[int, int, bool], dict[str, Indices]] = {}

    def of(self, batch: Batch) -> Mapping[str, Indices]:
        """The numbers of each such group, of its shape.

        The steps are those that some sequence has; padding behind the longest one has no copies. A batch that goes on
        from carried states has none of initial states.
        """
        # Only where clamps fix listed steps does the number of copies depend on the offset, and only up to the last.
        key = batch.longest, min(batch.offset, self._last_fixed), batch.carried is None
        if key not in self._kept:
            if len(self._kept) == KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = {group: np.maximum(self._count(group, *key), 1) for group in self._averaged}
        return self._kept[key]

    def _count(self, group: str, steps: int, offset: int, starts: bool) -> Indices:
        return self._network.count_entries(steps, group, starts, offset)
