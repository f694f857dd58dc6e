"""A tanh network by hand, for small states: as few calls as can be, since each costs more than its arithmetic.

One row holds everything a step reads, so that a step forward is one product and one tanh, and a step backward one
product and one multiplication by the slopes:

    forward    [hidden[t-1], x[t], 1] @ [recurrent; input; bias]
    backward   [delta[t+1], error[t]] @ [recurrent.T; readout.T]

One stacked product of the forward rows with the deltas is the derivative by recurrent, input and bias together.
"""

from __future__ import annotations

import numpy as np

from benchmarks.contenders.by_hand.memory import allocate, pad_width
from benchmarks.contenders.by_hand.readout import Readout
from benchmarks.problem import Problem

__all__ = ["TanhAugmented"]


class TanhAugmented:
    """Loss and gradients of a tanh network; a call allocates nothing that grows with steps, batch or units."""

    def __init__(self, problem: Problem) -> None:
        sizes, dtype = problem.sizes, problem.dtype
        steps, batch, hidden = sizes.steps, sizes.batch, sizes.hidden
        width, back = pad_width(hidden + sizes.inputs + 1, dtype), pad_width(hidden + sizes.outputs, dtype)
        self.problem = problem
        self.gradients = problem.empty_gradients()
        self.readout = Readout(problem)
        self.rows = allocate((steps + 1, batch, width), dtype)
        self.rows[:-1, :, hidden + sizes.inputs] = 1
        self.x = self.rows[:-1, :, hidden : hidden + sizes.inputs]
        self.states = self.rows[1:, :, :hidden]
        # Row t holds the delta of step t + 1 beside the error of step t.
        self.back_rows = allocate((steps + 1, batch, back), dtype)
        self.weights = allocate((width, hidden), dtype)
        self.weight_gradient = allocate((width, hidden), dtype)
        self.back_weights = allocate((back, hidden), dtype)
        self.slopes = allocate((steps, batch, hidden), dtype)
        self.product = allocate((batch, hidden), dtype)
        self.one = np.ones((), dtype)
        # Views, so that the loops below index nothing.
        self.forward_steps = list(zip(self.rows[:-1], self.states, strict=True))
        deltas = self.back_rows[:-1, :, :hidden]
        self.backward_steps = list(zip(self.back_rows[1:], self.slopes, deltas, strict=True))[::-1]

    def __call__(self) -> float:
        sizes, gradients = self.problem.sizes, self.gradients
        hidden, bias = sizes.hidden, sizes.hidden + sizes.inputs
        self._load()
        self._forward()
        states = self.states.reshape(self.readout.rows, -1)
        loss = self.readout(states, self.problem.parameters, gradients)
        self._backward()
        deltas = self.back_rows[:-1].reshape(self.readout.rows, -1)[:, :hidden]
        rows = self.rows[:-1].reshape(self.readout.rows, -1)
        np.dot(rows.T, deltas, self.weight_gradient)
        gradients["recurrent"][...] = self.weight_gradient[:hidden]
        gradients["input"][...] = self.weight_gradient[hidden:bias]
        gradients["bias"][...] = self.weight_gradient[bias]
        return loss

    def _load(self) -> None:
        parameters, hidden, bias = self.problem.parameters, self.problem.sizes.hidden, self.x.shape[2]
        self.weights[:hidden] = parameters["recurrent"]
        self.weights[hidden : hidden + bias] = parameters["input"]
        self.weights[hidden + bias] = parameters["bias"]
        self.readout.load(parameters)
        self.back_weights[:hidden] = parameters["recurrent"].T
        self.back_weights[hidden : hidden + self.problem.sizes.outputs] = self.readout.transposed
        self.x[...] = self.problem.x

    def _forward(self) -> None:
        tanh, weights, product = np.tanh, self.weights, self.product
        for row, state in self.forward_steps:
            row.dot(weights, product)
            tanh(product, state)

    def _backward(self) -> None:
        multiply, weights, product = np.multiply, self.back_weights, self.product
        sizes = self.problem.sizes
        error = self.readout.error.reshape(sizes.steps, sizes.batch, sizes.outputs)
        self.back_rows[1:, :, sizes.hidden : sizes.hidden + sizes.outputs] = error
        multiply(self.states, self.states, self.slopes)
        np.subtract(self.one, self.slopes, self.slopes)
        for row, slope, delta in self.backward_steps:
            row.dot(weights, product)
            multiply(product, slope, delta)
