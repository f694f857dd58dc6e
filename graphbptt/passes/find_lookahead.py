"""FoldedNetwork -> the edges that look ahead: with one of them, a step needs later ones."""

from __future__ import annotations

from graphbptt.errors import Problem
from graphbptt.ir.folded import Connection, FoldedNetwork

__all__ = ["find_lookahead"]


def find_lookahead(network: FoldedNetwork, purpose: str) -> list[Problem]:
    """A problem for each edge of negative delay; `purpose` says what cannot be done with it.

    >>> from graphbptt.ir.expression import Net
    >>> from graphbptt.ir.folded import FrozenArray, Population
    >>> x, y = (Population(name, 1, 1, Net(), (), None, FrozenArray(0)) for name in "xy")
    >>> network = FoldedNetwork((x, y), (Connection("x->y@-1", "x", "y", -1, "wire", None),), (), ())
    >>> print(*find_lookahead(network, "cannot be run step by step"))
    edge x->y@-1: a network that looks ahead cannot be run step by step; give it a delay of at least 0, not -1
    """
    return [
        Problem(
            f"edge {edge.name}" if isinstance(edge, Connection) else f"node {edge.target}.activation",
            f"a network that looks ahead {purpose}",
            f"give it a delay of at least 0, not {edge.delay}"
            if isinstance(edge, Connection)
            else f"read {edge.source} at no later step, not at [t{-edge.delay:+d}]",
        )
        for edge in network.edges
        if edge.delay < 0
    ]
