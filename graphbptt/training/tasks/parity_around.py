"""The parity of a bit of the past and one of the future."""

from __future__ import annotations

import numpy as np

from graphbptt.declaration.task_choices import ParityAround
from graphbptt.errors import DataError, Problem
from graphbptt.training.tasks.task import Array, Generator

__all__ = ["compare_bits_around"]


def compare_bits_around(
    settings: ParityAround, steps: int, examples: int, stored: Generator, fresh: Generator
) -> dict[str, Array]:
    """At each step, whether the bit of `past` steps ago differs from the one that comes `future` steps later.

    Who knows but one of the two can do no better than to guess.

    Returns
    -------
    dict
        ``bits`` and ``parity`` (examples, steps, 1); ``inside`` (examples, steps), 1 at the steps around which there
        are both bits.

    Raises
    ------
    DataError
        There is no such step.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fields = compare_bits_around(ParityAround(past=1, future=1), 8, 1, rng, rng)
    >>> fields["bits"][0, :, 0].astype(int).tolist()
    [1, 1, 1, 0, 0, 0, 0, 0]
    >>> (fields["parity"][0, :, 0] * fields["inside"][0]).astype(int).tolist()
    [0, 0, 1, 1, 0, 0, 0, 0]
    """
    del stored
    past, future = settings.past, settings.future
    if steps <= past + future:
        said = f"{steps} steps, of which none has a bit {past} steps before and one {future} steps after it"
        raise DataError(Problem("data.steps", said, f"write at least {past + future + 1}"))
    bits = fresh.integers(0, 2, (examples, steps, 1))
    parity, inside = np.zeros((examples, steps, 1)), np.zeros((examples, steps))
    middle = slice(past, steps - future)
    parity[:, middle] = bits[:, : steps - past - future] != bits[:, past + future :]
    inside[:, middle] = 1
    return {"bits": bits.astype(float), "parity": parity, "inside": inside}
