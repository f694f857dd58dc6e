"""An LSTM by hand, for small states: as few calls as can be, since each costs more than its arithmetic.

The arithmetic, and what is kept, are those of `lstm_hoisted` beside it; here everything a step reads or writes lies
side by side in one row, so that neighbours share a call:

    forward   [state[t-1], x[t], 1] @ weights -> [O, I, F, g], beside which stands cell[t-1]
              [I, F] * [g, cell] is one call
    backward  [error[t], e, O, I, F, g of t+1] @ weights -> [s, s], beside which stands what the cell carries
              [s, s] * factors -> [e, O] and e * factors -> [I, F, g, carried] are one call each

The slopes of all steps are found at once, and one stacked product gives all weight derivatives.
"""

from __future__ import annotations

import numpy as np

from benchmarks.contenders.by_hand.lstm_factors import find_factors
from benchmarks.contenders.by_hand.memory import allocate, pad_width
from benchmarks.contenders.by_hand.readout import Readout
from benchmarks.problem import Array, Problem

__all__ = ["LstmAugmented"]

GATES = 4


class LstmAugmented:
    """Loss and gradients of an LSTM; a call allocates nothing that grows with steps, batch or units."""

    def __init__(self, problem: Problem) -> None:
        sizes, dtype = problem.sizes, problem.dtype
        steps, batch, hidden, outputs = sizes.steps, sizes.batch, sizes.hidden, sizes.outputs
        self.problem = problem
        self.gradients = problem.empty_gradients()
        self.readout = Readout(problem, scale=0.5)
        width = pad_width(hidden + sizes.inputs + 1, dtype)
        self.rows = allocate((steps + 1, batch, width), dtype)
        self.rows[:-1, :, hidden + sizes.inputs] = 1
        self.x = self.rows[:-1, :, hidden : hidden + sizes.inputs]
        self.states = self.rows[1:, :, :hidden]
        self.gates = allocate((steps + 1, batch, GATES + 1, hidden), dtype)
        self.squashed = allocate((steps, batch, hidden), dtype)
        self.weights = allocate((width, GATES * hidden), dtype)
        self.weight_gradient = allocate((width, GATES * hidden), dtype)
        self.scale = np.repeat(np.array([0.5, 0.5, 0.5, 1], dtype), hidden)
        # Row t: the error of step t - 1; then e, the deltas of O, I, F, g and what is carried, of step t.
        self.back_rows = allocate((steps + 1, batch, outputs + 6 * hidden), dtype)
        self.back_weights = allocate((outputs + 5 * hidden, 2 * hidden), dtype)
        self.factors = allocate((steps, batch, 6, hidden), dtype)
        self.remaining = allocate((steps, batch, 2, hidden), dtype)
        self.product = allocate((batch, GATES * hidden), dtype)
        self.pair = allocate((batch, 2 * hidden), dtype)
        self.half = np.full((), 0.5, dtype)
        self.ones = np.ones((batch, 3 * hidden), dtype)
        self._lay_out_steps()

    def _lay_out_steps(self) -> None:
        """Views of every step, so that the loops index nothing."""
        sizes = self.problem.sizes
        steps, batch, hidden, outputs = sizes.steps, sizes.batch, sizes.hidden, sizes.outputs

        def blocks(array: Array, t: int, start: int, stop: int) -> Array:
            """Some blocks of hidden units of step t, as plain rows: calls on two axes are the cheapest."""
            return array[t, :, start * hidden : stop * hidden]

        gates = self.gates.reshape(steps + 1, batch, -1)
        self.forward_steps = [
            (
                *(self.rows[t], blocks(gates, t, 0, 4), blocks(gates, t, 0, 3), blocks(gates, t, 1, 3)),
                *(blocks(gates, t, 3, 5), blocks(gates, t + 1, 4, 5), self.squashed[t]),
                *(blocks(gates, t, 0, 1), self.states[t]),
            )
            for t in range(steps)
        ]
        factors = self.factors.reshape(steps, batch, -1)
        read, back = self.back_rows[:, :, : outputs + 5 * hidden], self.back_rows[:, :, outputs:]
        by_gate = back.reshape(steps + 1, batch, 6, hidden)
        self.backward_steps = [
            (
                *(read[t + 1], blocks(factors, t, 0, 2), blocks(back, t, 0, 2), blocks(back, t, 0, 1)),
                *(blocks(back, t + 1, 5, 6), by_gate[t, :, :1], self.factors[t, :, 2:], by_gate[t, :, 2:]),
            )
            for t in reversed(range(steps))
        ]

    def __call__(self) -> float:
        sizes, rows = self.problem.sizes, self.readout.rows
        self._load()
        self._forward()
        loss = self.readout(
            self.rows[1:].reshape(rows, -1)[:, : sizes.hidden], self.problem.parameters, self.gradients
        )
        self._backward()
        self._collect()
        return loss

    def _load(self) -> None:
        parameters, hidden = self.problem.parameters, self.problem.sizes.hidden
        inputs, outputs = self.problem.sizes.inputs, self.problem.sizes.outputs
        self.weights[:hidden] = parameters["recurrent"]
        self.weights[hidden : hidden + inputs] = parameters["input"]
        self.weights[hidden + inputs] = parameters["bias"]
        self.weights *= self.scale
        self.weights[:hidden] *= self.half
        self.readout.load(parameters)
        twice = self.back_weights.reshape(-1, 2, hidden)
        twice[:outputs] = self.readout.transposed[:, None]
        twice[outputs + hidden :] = self.weights[:hidden].T[:, None]
        self.x[...] = self.problem.x

    def _forward(self) -> None:
        add, multiply, tanh = np.add, np.multiply, np.tanh
        weights, product, pair, half, ones = self.weights, self.product, self.pair, self.half, self.ones
        hidden = self.problem.sizes.hidden
        first, second = pair[:, :hidden], pair[:, hidden:]
        for row, gates, logistic, admit, admitted, cell, squashed, output, state in self.forward_steps:
            row.dot(weights, product)
            tanh(product, gates)
            add(logistic, ones, logistic)
            multiply(admit, admitted, pair)
            add(first, second, cell)
            multiply(cell, half, cell)
            tanh(cell, squashed)
            multiply(output, squashed, state)

    def _backward(self) -> None:
        add, multiply = np.add, np.multiply
        sizes = self.problem.sizes
        weights, pair = self.back_weights, self.pair
        error = self.readout.error.reshape(sizes.steps, sizes.batch, sizes.outputs)
        self.back_rows[1:, :, : sizes.outputs] = error
        gates, factors, remaining = (
            np.moveaxis(array, 2, 0) for array in (self.gates[:-1], self.factors, self.remaining)
        )
        find_factors(gates, self.squashed, self.states, factors, remaining)
        for row, by_state, cell_and_output, cell, carried, by_cell, to_gates, gates in self.backward_steps:
            row.dot(weights, pair)
            multiply(pair, by_state, cell_and_output)
            add(cell, carried, cell)
            multiply(by_cell, to_gates, gates)

    def _collect(self) -> None:
        sizes, gradients, rows = self.problem.sizes, self.gradients, self.readout.rows
        hidden, inputs = sizes.hidden, sizes.inputs
        start = sizes.outputs + hidden
        deltas = self.back_rows[:-1].reshape(rows, -1)[:, start : start + GATES * hidden]
        np.dot(self.rows[:-1].reshape(rows, -1).T, deltas, self.weight_gradient)
        self.weight_gradient *= self.scale
        np.multiply(self.weight_gradient[:hidden], self.half, gradients["recurrent"])
        gradients["input"][...] = self.weight_gradient[hidden : hidden + inputs]
        gradients["bias"][...] = self.weight_gradient[hidden + inputs]
