"""Truncated backpropagation: a batch as a sequence of windows, each going on from the one before.

After every `stride` steps the loss on these is differentiated back over at most the last `steps` steps [1]_ [2]_. A
window starts from the states as they were computed when an earlier one came by; the steps that both hold are run again,
with the parameters of now.

.. [1] R. J. Williams and J. Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
   trajectories", Neural Computation 2(4), 1990, 490-501.
.. [2] I. Sutskever, "Training recurrent neural networks", PhD thesis, University of Toronto, 2013, section 2.8.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from graphbptt.declaration.run_schema import Truncation
from graphbptt.errors import Problem
from graphbptt.ir.batch import Batch
from graphbptt.model import Model
from graphbptt.passes.cut_batch import cut_batch

__all__ = ["Window", "check_batches", "cut_windows", "lay_windows"]


@dataclass(frozen=True, slots=True)
class Window:
    """Derivatives pass through the steps ``start + 1`` to `stop`; the loss is that of the steps after `wanted`."""

    start: int
    wanted: int
    stop: int


def lay_windows(steps: int, truncation: Truncation | None) -> tuple[Window, ...]:
    """The windows over `steps` steps; without truncation it is one.

    >>> [(w.start, w.wanted, w.stop) for w in lay_windows(7, Truncation(steps=4, stride=2))]
    [(0, 0, 2), (0, 2, 4), (2, 4, 6), (3, 6, 7)]
    """
    if truncation is None:
        return (Window(0, 0, steps),)
    stride = truncation.steps if truncation.stride is None else truncation.stride
    stops = (min(wanted + stride, steps) for wanted in range(0, steps, stride))
    return tuple(
        Window(max(0, stop - truncation.steps), stride * index, stop) for index, stop in enumerate(stops)
    )


def cut_windows(model: Model, batch: Batch, truncation: Truncation | None) -> Iterator[Batch]:
    """The windows of a bound batch, in order. Each has to be run before the next is asked for, which goes on from it;
    its parameters may change after that."""
    windows = lay_windows(batch.steps, truncation)
    carried = batch.carried
    for window, following in pairwise((*windows, None)):
        if window is None:
            raise AssertionError("only the last one has none behind it")
        yield cut_batch(model.network, batch, window.start, window.stop, window.wanted, carried)
        if following is not None and following.start:
            carried = model.carry(following.start - window.start, batch.offset + following.start)


def check_batches(examples: int, batch: int) -> list[Problem]:
    """A problem where batches of consecutive examples differ in size, so that one cannot go on from the one before."""
    rest = examples % batch
    if batch >= examples or not rest:
        return []
    sizes = [size for size in range(1, examples) if examples % size == 0]
    near = sorted(sorted(sizes, key=lambda size: abs(size - batch))[:3])
    return [
        Problem(
            "training.batch",
            f"{examples} examples in batches of {batch} leave {rest} for the last one, but with 'stateful' each goes on"
            " from the one at its place in the batch before",
            f"write a size that divides {examples}, such as {', '.join(map(str, near))}",
        )
    ]
