"""Strings of the embedded Reber grammar, and what may follow each of their symbols.

    string  := "B" "T" inside "T" "E" | "B" "P" inside "P" "E"
    inside  := "B" path "E"                                       `path` follows the arcs of `ARCS` from 0 to `GOAL`

The second symbol decides the last but one, over as many symbols as lie inside: the test of long memory of [1]_, whose
grammar is that of [2]_.

.. [1] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997, 1735-1780,
   section 5.1.
.. [2] A. Cleeremans, D. Servan-Schreiber and J. L. McClelland, "Finite state automata and simple recurrent networks",
   Neural Computation 1(3), 1989, 372-381.
"""

from __future__ import annotations

import numpy as np

from graphbptt.declaration.task_choices import EmbeddedReber
from graphbptt.errors import DataError, Problem
from graphbptt.training.tasks.task import Array, Generator

__all__ = ["SHORTEST", "SYMBOLS", "draw_reber_strings"]

SYMBOLS = "BTPSXVE"
"""The symbols, in the order of their units."""

ARCS = ({"T": 1, "P": 2}, {"S": 1, "X": 3}, {"T": 2, "V": 4}, {"X": 2, "S": 5}, {"P": 3, "V": 5})
"""The two arcs of each state but the last: the symbol, and the state it leads to."""

GOAL = len(ARCS)

SHORTEST = 8
"""The steps of the shortest string."""


def draw_reber_strings(
    settings: EmbeddedReber, steps: int, examples: int, stored: Generator, fresh: Generator
) -> dict[str, Array]:
    """Random strings of the embedded Reber grammar of at most `steps` steps; longer ones are drawn again.

    Returns
    -------
    dict
        ``symbols`` (examples, steps, 7), 1 for the symbol of a step, without the last symbol of the string, which
        nothing follows; ``legal`` (examples, steps, 7), 1 for every symbol that may come next; ``lengths``.

    Raises
    ------
    DataError
        No string is so short.

    Examples
    --------
    >>> rng = np.random.default_rng(4)
    >>> fields = draw_reber_strings(EmbeddedReber(), 20, 1, rng, rng)
    >>> length = fields["lengths"][0]
    >>> "".join(SYMBOLS[symbol] for symbol in fields["symbols"][0, :length].argmax(axis=-1))
    'BPBPVVEP'
    >>> ["".join(s for s, may in zip(SYMBOLS, row) if may) for row in fields["legal"][0, :length]]
    ['TP', 'B', 'TP', 'TV', 'PV', 'E', 'P', 'E']
    """
    del settings, stored
    if steps < SHORTEST:
        said = f"the shortest string of the embedded Reber grammar has {SHORTEST} steps, more than {steps}"
        raise DataError(Problem("data.steps", said, f"write at least {SHORTEST}"))
    symbols, legal = np.zeros((2, examples, steps, len(SYMBOLS)))
    lengths = np.zeros(examples, np.int64)
    for example in range(examples):
        string, successors = _draw_string(fresh)
        while len(successors) > steps:
            string, successors = _draw_string(fresh)
        lengths[example] = len(successors)
        for step, (symbol, following) in enumerate(zip(string, successors, strict=False)):
            symbols[example, step, SYMBOLS.index(symbol)] = 1
            legal[example, step, [SYMBOLS.index(other) for other in following]] = 1
    return {"symbols": symbols, "legal": legal, "lengths": lengths}


def _draw_string(generator: Generator) -> tuple[str, list[str]]:
    """A string, and what may follow each symbol but the last."""
    outer = "TP"[generator.integers(2)]
    string, successors, state = f"B{outer}B", ["TP", "B"], 0
    while state != GOAL:
        arcs = ARCS[state]
        successors.append("".join(arcs))
        string += successors[-1][generator.integers(2)]
        state = arcs[string[-1]]
    return f"{string}E{outer}E", [*successors, "E", outer, "E"]
