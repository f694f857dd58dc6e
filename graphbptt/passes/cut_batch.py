"""(Batch, steps) -> Batch: a stretch of a batch's steps, for truncated backpropagation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graphbptt.ir.batch import Batch, BoundClamp, BoundTarget, CarriedState
from graphbptt.ir.folded import FoldedNetwork

__all__ = ["cut_batch"]


def cut_batch(
    network: FoldedNetwork,
    batch: Batch,
    start: int,
    stop: int,
    wanted: int | None = None,
    carried: CarriedState | None = None,
) -> Batch:
    """The steps ``start + 1`` to `stop` of a batch.

    Lengths, masks and targets stay those of the whole sequences: a target at the last step is in the stretch that holds
    a sequence's own last step, and the mean of a loss runs over the pairs of the stretch. Nothing is copied where it
    need not be.

    Parameters
    ----------
    network : FoldedNetwork
        The network whose clamps and targets the batch binds.
    batch : Batch
    start, stop : int
        ``0 <= start < stop <= batch.steps``.
    wanted : int, optional
        Targets count from step ``wanted + 1`` of the batch on; `start` by default.
    carried : CarriedState, optional
        What the stretch goes on from; needed where `start` is not 0, and else that of the batch by default.

    Returns
    -------
    Batch
        The batch itself where the stretch is all of it.

    Examples
    --------
    >>> from graphbptt.ir.folded import Clamp, FrozenArray, Population
    >>> from graphbptt.ir.expression import Net
    >>> from graphbptt.passes.bind_batch import bind_batch
    >>> x = Population("x", 2, 1, Net(), (), None, FrozenArray(0))
    >>> network = FoldedNetwork((x,), (), (), (), clamps=(Clamp("x", "data"),))
    >>> batch = bind_batch(network, {"data": np.zeros((3, 5, 2)), "lengths": [5, 1, 3]})
    >>> rest = cut_batch(network, batch, 2, 5, carried=CarriedState({"x": np.zeros((1, 3, 2))}, 2))
    >>> rest.steps, rest.lengths.tolist(), rest.clamps[0].values.shape
    (3, [3, 0, 1], (3, 3, 2))
    """
    wanted = start if wanted is None else wanted
    carried = batch.carried if carried is None and start == 0 else carried
    if (start, stop, wanted) == (0, batch.steps, 0) and carried is batch.carried:
        return batch
    if start and carried is None:
        raise ValueError(f"steps {start + 1} to {stop} need something to go on from")
    lengths = None if batch.lengths is None else np.clip(batch.lengths - start, 0, stop - start)
    clamps = (
        bound if clamp.at == "start" else _cut_clamp(bound, start, stop)
        for clamp, bound in zip(network.clamps, batch.clamps, strict=True)
    )
    return Batch(
        batch.size,
        stop - start,
        None if lengths is None or (lengths == stop - start).all() else lengths,
        tuple(clamps),
        tuple(_cut_target(bound, start, stop, wanted) for bound in batch.targets),
        carried,
        batch.noise,
        tuple(_cut_target(bound, start, stop, wanted) for bound in batch.penalties),
    )


def _cut_clamp(bound: BoundClamp, start: int, stop: int) -> BoundClamp:
    return BoundClamp(bound.values[start:stop], None if bound.mask is None else bound.mask[start:stop])


def _cut_target(bound: BoundTarget, start: int, stop: int, wanted: int) -> BoundTarget:
    weights = bound.weights[start:stop]
    if wanted > start:
        weights = weights.copy()
        weights[: wanted - start] = 0
    return replace(bound, values=bound.values[start:stop], weights=weights, count=float(np.sum(weights)))
