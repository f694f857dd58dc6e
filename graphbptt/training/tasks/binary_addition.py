"""Two binary numbers and their sum, least significant bit first."""

from __future__ import annotations

import numpy as np

from graphbptt.declaration.task_choices import BinaryAddition
from graphbptt.training.tasks.task import Array, Generator

__all__ = ["add_binary_numbers"]


def add_binary_numbers(
    settings: BinaryAddition, steps: int, examples: int, stored: Generator, fresh: Generator
) -> dict[str, Array]:
    """Two binary numbers of `steps` bits and their sum, least significant bit first.

    Returns
    -------
    dict
        ``bits`` (examples, steps, 2) and ``sum`` (examples, steps, 1), the latter `delay` steps late, with
        zeros before. The carry past the last bit is dropped.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fields = add_binary_numbers(BinaryAddition(delay=0), 8, 100, rng, rng)
    >>> numbers = np.einsum("etn,t->en", fields["bits"], 2 ** np.arange(8))
    >>> wanted = np.einsum("etn,t->e", fields["sum"], 2 ** np.arange(8))
    >>> bool(np.all(numbers.sum(axis=1) % 256 == wanted))
    True
    """
    del stored
    bits = fresh.integers(0, 2, (examples, steps, 2))
    late = min(settings.delay, steps)
    sums = np.zeros((examples, steps + late, 1))
    carry = np.zeros(examples, bits.dtype)
    for step in range(steps):
        total = bits[:, step].sum(axis=1) + carry
        sums[:, step + late, 0] = total % 2
        carry = total // 2
    return {"bits": bits.astype(float), "sum": sums[:, :steps]}
