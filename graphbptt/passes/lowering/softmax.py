"""The softmax of a net input over the units of a population.

    forward     out = exp(net) / sum exp(net)
    backward    net.delta += a - out * sum a,   a = slopes * out.delta

The slopes are the states, stored before the backward loop and zero where no derivative passes. Where states are set,
they are not the softmax any more: the forward sweep then keeps this too.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphbptt.ir.expression import Load, number
from graphbptt.ir.operations import Assignment, Compute, Operation, Softmax, SoftmaxGradient
from graphbptt.passes.lowering.reversal import Reversal
from graphbptt.passes.place_buffers import Site

__all__ = ["lower_softmax", "reverse_softmax"]


def lower_softmax(site: Site) -> Operation:
    """``state = softmax(net)``; where nothing arrives all units are alike."""
    if site.net is None:
        return Compute((Assignment(site.state, number(1 / site.population.units)),))
    return Softmax(site.state, site.net)


def reverse_softmax(reversal: Reversal, softmax: Softmax, _final: list[Operation]) -> Iterator[Operation]:
    """The derivative by all net inputs of the population; every one depends on what arrives at all states."""
    name = reversal.plan.owner[softmax.out]
    if not reversal.learners.has_delta(name):
        return
    out = softmax.out
    if reversal.plan.placement[name].restrained:
        out = reversal.slopes.keep_softmax(name)
    slopes = reversal.slopes.mirror("slope", "_", name)
    reversal.store(name, slopes, Load(out))
    delta = reversal.delta(softmax.out)
    yield SoftmaxGradient(reversal.net_delta(softmax.source), delta, slopes, out, accumulate=True)
