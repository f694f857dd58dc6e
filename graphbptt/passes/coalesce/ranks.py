"""Edges -> a rank for every node, such that nodes of one rank may be put together.

Putting nodes together must not close a cycle without delay, nor join cycles of opposite direction. Where no edge looks
ahead, or none looks back, the topological generation among the edges without delay is enough: every cycle of ranks
then holds an edge with a delay, and all such have one sign. Else only nodes of one strongly connected component may
come together, or nodes outside of all cycles that lie in one generation of what remains.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

__all__ = ["ALONE", "find_generations", "rank_nodes"]

Array = npt.NDArray[Any]

ALONE = -1
"""The rank of nodes that cannot be put together with any other."""


def rank_nodes(count: int, source: Array, target: Array, delay: Array) -> Array:
    """The ranks of so many nodes; `ALONE` for those on a cycle without delay, or on one that looks both ways.

    >>> chain = np.array([0, 1]), np.array([1, 2])
    >>> rank_nodes(3, *chain, np.array([0, 0])).tolist()
    [0, 1, 2]
    >>> rank_nodes(3, *chain, np.array([1, 1])).tolist()
    [0, 0, 0]
    """
    if (delay >= 0).all() or (delay <= 0).all():
        now = delay == 0
        return find_generations(count, source[now], target[now])
    _, component = connected_components(_connect(count, source, target), connection="strong")
    inside = component[source] == component[target]
    now = inside & (delay == 0)
    level = find_generations(count, source[now], target[now])
    generation = find_generations(component.max() + 1, component[source[~inside]], component[target[~inside]])
    cyclic, forward, backward = (
        np.bincount(component[source[inside & chosen]], minlength=len(generation)) > 0
        for chosen in (delay == delay, delay > 0, delay < 0)
    )
    alone = (level == ALONE) | (forward & backward)[component]
    keys = np.stack([generation[component], np.where(cyclic[component], component, -1), level])
    ranks = np.unique(keys, axis=1, return_inverse=True)[1].reshape(count)
    return np.where(alone, ALONE, ranks)


def find_generations(count: int, source: Array, target: Array) -> Array:
    """The topological generation of every node; `ALONE` for those on a cycle or behind one (Kahn 1962)."""
    generation = np.full(count, ALONE)
    if not source.size:
        return np.zeros(count, np.int64)
    following = _connect(count, source, target)
    waiting = np.asarray(following.sum(axis=0)).ravel().astype(np.int64)
    ready, number = np.flatnonzero(waiting == 0), 0
    while ready.size:
        generation[ready] = number
        rows = following[ready]
        np.subtract.at(waiting, rows.indices, rows.data.astype(np.int64))
        reached = np.unique(rows.indices)
        ready, number = reached[waiting[reached] == 0], number + 1
    return generation


def _connect(count: int, source: Array, target: Array) -> Any:
    """The adjacency matrix, with the number of edges between two nodes."""
    return sparse.csr_array((np.ones(len(source), np.int64), (source, target)), shape=(count, count))
