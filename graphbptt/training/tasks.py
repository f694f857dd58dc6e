"""Built-in tasks: one generator of fields each, and the table of them.

A task is drawn from two generators: `stored` gives what all parts of the data have in common (the patterns
of an attractor), `fresh` the examples of one part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphbptt.declaration.choices import BinaryAddition, PatternCompletion

__all__ = ["TASKS", "add_binary_numbers", "complete_patterns"]

Array = npt.NDArray[Any]
Generator = np.random.Generator
Task = Callable[[Any, int, int, Generator, Generator], dict[str, Array]]


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
    sums = np.zeros((examples, steps + settings.delay, 1))
    carry = np.zeros(examples, bits.dtype)
    for step in range(steps):
        total = bits[:, step].sum(axis=1) + carry
        sums[:, step + settings.delay, 0] = total % 2
        carry = total // 2
    return {"bits": bits.astype(float), "sum": sums[:, :steps]}


def complete_patterns(
    settings: PatternCompletion, steps: int, examples: int, stored: Generator, fresh: Generator
) -> dict[str, Array]:
    """Random binary patterns, each shown in part.

    Returns
    -------
    dict
        ``pattern`` (examples, units), one of the stored ones; ``known`` (examples, units), one on a random
        share of the units; ``cue``, the pattern where it is known and zero elsewhere.
    """
    del steps
    patterns = stored.integers(0, 2, (settings.patterns, settings.units)).astype(float)
    pattern = patterns[fresh.integers(0, settings.patterns, examples)]
    shown = round(settings.known * settings.units)
    known = (fresh.random((examples, settings.units)).argsort(axis=1) < shown).astype(float)
    return {"cue": pattern * known, "known": known, "pattern": pattern}


TASKS: Mapping[str, Task] = {"binary_addition": add_binary_numbers, "pattern_completion": complete_patterns}
"""The generators, by the names that `TaskChoice` declares together with their settings."""
