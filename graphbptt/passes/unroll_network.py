"""FoldedNetwork -> UnrolledGraph: one copy of the network for each step."""

from __future__ import annotations

from numbers import Integral

from graphbptt.errors import Problem, SpecError
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.unrolled import Bundle, ComputedSteps, Row, UnrolledGraph
from graphbptt.passes.verify_unrolled import verify_unrolled

__all__ = ["unroll_network"]


def unroll_network(network: FoldedNetwork, steps: int) -> UnrolledGraph:
    """Unroll a network over `steps` steps.

    Step 0 of every population is its initial state. Earlier rows, and rows after the last step, exist as far
    as something reads them. Nothing arrives at a vertex whose units are all clamped whatever the data.

    Parameters
    ----------
    network : FoldedNetwork
    steps : int
        The number of computed steps, at least 1. The cost does not depend on it.

    Raises
    ------
    SpecError
        `steps` is not a whole number of at least 1.

    Examples
    --------
    >>> from graphbptt.ir.expression import Net
    >>> from graphbptt.ir.folded import Connection, Population
    >>> from graphbptt.ir.parameters import FrozenArray, Group, Initializer, Use
    >>> h = Population("h", 3, 1, Net(), (), None, FrozenArray(0))
    >>> recurrent = Connection("h->h", "h", "h", 1, "dense", Use("h->h"))
    >>> network = FoldedNetwork((h,), (recurrent,), (), (Group("h->h", (3, 3), Initializer("glorot")),))
    >>> print(unroll_network(network, 2))
    unrolled over 2 steps: 3 vertices, 2 arcs
      vertices h: steps 0..2, computed 1..2
      arcs h[t-1] -> h, t = 1..2: group h->h
      group h->h: 2 copies
    """
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1:
        raise SpecError(Problem("steps", f"cannot unroll over {steps!r} steps", "give a whole number from 1"))
    steps = int(steps)
    first = {population.name: 0 for population in network.populations}
    last = {population.name: steps for population in network.populations}
    for edge in network.edges:
        first[edge.source] = min(first[edge.source], 1 - edge.delay)
        last[edge.source] = max(last[edge.source], steps - edge.delay)
    computed = {
        name: ComputedSteps(0 if name in network.given else steps, network.fixed_steps.get(name, frozenset()))
        for name in first
    }
    unrolled = UnrolledGraph(
        network,
        steps,
        tuple(Row(name, first[name], last[name], computed[name]) for name in first),
        tuple(Bundle(edge, computed[edge.target]) for edge in network.edges),
    )
    verify_unrolled(unrolled)
    return unrolled
