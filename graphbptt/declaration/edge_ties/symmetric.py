"""An edge and the edge back as one group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.edge_ties.listed_edges import ListedEdges
from graphbptt.declaration.edge_ties.names import name_groups
from graphbptt.errors import Problem

__all__ = ["group_pairs"]

PATH = "network.ties_by"


def group_pairs(
    edges: ListedEdges, scales: npt.NDArray[np.float64], problems: list[Problem]
) -> tuple[list[str], frozenset[int]]:
    """The name of the group of every edge, and the edges that are the transpose of it.

    Edges between the same nodes are paired by their delay, and in their order. The group is that of the edge whose
    source comes first by name.
    """
    signatures = list(_sign(edges))
    rows = {signature: row for row, signature in enumerate(signatures)}
    back = [rows.get((target, source, *told), -1) for source, target, *told in signatures]
    alone = [row for row, other in enumerate(back) if other < 0]
    if alone:
        what = f"symmetric weights need an edge back, which {len(alone):,} edges lack: {edges.show(alone)}"
        problems.append(Problem(PATH, what, "add these edges with the same delay, or tie by attributes"))
        return [], frozenset()
    unlike = np.flatnonzero(scales != scales[back]).tolist()
    if unlike:
        shown = edges.show(unlike, lambda row: f" ({scales[row]:g} and {scales[back[row]]:g} back)")
        what = f"symmetric weights have equal factors, which {len(unlike):,} edges have not: {shown}"
        problems.append(Problem(PATH, what, "mend the factors, or leave them out"))
    populations = edges.populations()
    loops = [
        row
        for row, source in enumerate(edges.sources)
        if source in populations and source == edges.targets[row]
    ]
    if loops:
        name = edges.show(loops[:1])
        what = f"{len(loops):,} edges lead from a population to itself: {edges.show(loops)}"
        problems.append(Problem(PATH, what, f"write such symmetry as constraints: [{name} == {name}.T]"))
    several = Counter(zip(edges.sources, edges.targets, strict=True))
    turned = [row for row, (source, target, *_) in enumerate(signatures) if str(source) > str(target)]
    for row in turned:
        source, target, *told = signatures[row]
        signatures[row] = target, source, *told
    names = name_groups([pair if several[pair[:2]] > 1 else pair[:2] for pair in signatures], "--", problems)
    return names, frozenset(
        row for row in turned if edges.sources[row] in populations or edges.targets[row] in populations
    )


def _sign(edges: ListedEdges) -> Iterator[tuple[Hashable, Hashable, Any, int]]:
    """What an edge has in common with the edge back, apart from its direction."""
    seen: Counter[tuple[Hashable, Hashable, Any]] = Counter()
    for source, target, attributes in zip(edges.sources, edges.targets, edges.attributes, strict=True):
        delay = str(attributes.get("delay", 1))
        yield source, target, delay, seen[source, target, delay]
        seen[source, target, delay] += 1
