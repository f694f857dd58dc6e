"""What the derivatives by an LSTM's state and cell are multiplied by, see `lstm_hoisted`."""

from __future__ import annotations

import numpy as np

from benchmarks.problem import Array

__all__ = ["find_factors"]


def find_factors(gates: Array, squashed: Array, states: Array, factors: Array, remaining: Array) -> None:
    """Write the six factors of some steps: of s for e and O, of e for I, F, g and the cell before.

    `gates` holds O, I, F, g and the cell before, (5, steps, batch, hidden); `squashed` is tanh of the cell and
    `states` are the doubled states, (steps, batch, hidden). Written are `factors` (6, ...) and the scratch
    `remaining` (2, ...).
    """
    multiply, subtract, dtype = np.multiply, np.subtract, gates.dtype.type
    output, admit, admitted = gates[0], gates[1:3], gates[3:]
    to_cell, to_output, to_admit, to_candidate, to_carry = (
        factors[0], factors[1], factors[2:4], factors[4], factors[5],
    )  # fmt: skip
    multiply(states, squashed, to_cell)
    subtract(output, to_cell, to_cell)
    multiply(to_cell, dtype(0.5), to_cell)
    subtract(dtype(2), output, to_output)
    multiply(to_output, states, to_output)
    multiply(admit, admitted, to_admit)
    multiply(to_admit[0], admitted[0], to_candidate)
    subtract(admit[0], to_candidate, to_candidate)
    subtract(dtype(2), admit, remaining)
    multiply(to_admit, remaining, to_admit)
    multiply(admit[1], dtype(0.5), to_carry)
