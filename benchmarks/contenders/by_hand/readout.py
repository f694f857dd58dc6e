"""The linear readout and its squared error, by hand: over the whole sequence at once, because nothing recurs in it."""

from __future__ import annotations

import numpy as np

from benchmarks.contenders.by_hand.memory import allocate
from benchmarks.problem import Array, Gradients, Problem

__all__ = ["Readout"]


class Readout:
    """Loss of ``scale * hidden @ readout + readout_bias``; leaves the derivative by the outputs in `error`."""

    def __init__(self, problem: Problem, scale: float = 1.0) -> None:
        sizes = problem.sizes
        self.rows = sizes.steps * sizes.batch
        self.scale = problem.dtype.type(scale)
        self.wanted = problem.wanted.reshape(self.rows, sizes.outputs)
        self.weights = allocate((sizes.hidden, sizes.outputs), problem.dtype)
        self.transposed = allocate((sizes.outputs, sizes.hidden), problem.dtype)
        self.error = allocate((self.rows, sizes.outputs), problem.dtype)
        self.ones = np.ones(self.rows, problem.dtype)
        self.mean = problem.dtype.type(1 / self.rows)

    def load(self, parameters: dict[str, Array]) -> None:
        """Take the weights, scaled, and their transpose."""
        np.multiply(parameters["readout"], self.scale, self.weights)
        self.transposed[...] = self.weights.T

    def __call__(self, hidden: Array, parameters: dict[str, Array], gradients: Gradients) -> float:
        """The loss for `hidden` (rows, hidden); writes the gradients of the readout."""
        error = self.error
        np.dot(hidden, self.weights, error)
        error += parameters["readout_bias"]
        error -= self.wanted
        flat = error.reshape(-1)
        loss = 0.5 * float(flat.dot(flat)) / self.rows
        error *= self.mean
        np.dot(hidden.T, error, gradients["readout"])
        np.multiply(gradients["readout"], self.scale, gradients["readout"])
        np.dot(self.ones, error, gradients["readout_bias"])
        return loss
