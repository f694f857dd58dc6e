"""An LSTM by hand, a contiguous block of memory for each gate, what does not recur hoisted out of the time loop.

A logistic gate is ``(1 + tanh(net / 2)) / 2``, and NumPy's tanh is several times faster than any logistic function at
hand. So the weights of the gates are halved once per call, one tanh serves all four blocks, and what is kept are the
doubled gates and the doubled state, which need no further scaling:

    [O, I, F, g] = [1, 1, 1, 0] + tanh(net)         O, I, F: twice the output, input and forget gate
    cell[t]  = (I * g + F * cell[t-1]) / 2
    state[t] = O * tanh(cell[t])                    twice the hidden state; recurrent and readout weights are halved

The deltas are derivatives by the tanh's argument. With s the derivative by the state, e half that by the cell:

    e[t]       = s * (O - state * tanh(cell)) / 2 + e[t+1] * F[t+1] / 2
    delta of O = s * state * (2 - O)
    delta of I = e * I * g * (2 - I)
    delta of F = e * F * cell[t-1] * (2 - F)
    delta of g = e * (I - I * g * g)

The factors of s and e are made for a block of steps at a time, just before the loop reads them, so that they are
still in the cache; so are the input's projections. The blocks of the parameters are in the order O, I, F, g.
"""

from __future__ import annotations

import numpy as np

from benchmarks.contenders.by_hand.lstm_factors import find_factors
from benchmarks.contenders.by_hand.memory import allocate, pad_width, split_steps
from benchmarks.contenders.by_hand.readout import Readout
from benchmarks.problem import Array, Problem

__all__ = ["LstmHoisted"]

GATES = 4


class LstmHoisted:
    """Loss and gradients of an LSTM; a call allocates nothing that grows with steps, batch or units."""

    def __init__(self, problem: Problem) -> None:
        sizes, dtype = problem.sizes, problem.dtype
        steps, batch, hidden, inputs = sizes.steps, sizes.batch, sizes.hidden, sizes.inputs
        self.problem = problem
        self.gradients = problem.empty_gradients()
        self.readout = Readout(problem, scale=0.5)
        self.x = allocate((steps, batch, pad_width(inputs + 1, dtype)), dtype)[..., : inputs + 1]
        self.x[..., inputs] = 1
        self.input = allocate((GATES, inputs + 1, hidden), dtype)
        self.input_gradient = allocate((GATES, inputs + 1, hidden), dtype)
        self.recurrent = allocate((GATES, hidden, hidden), dtype)
        self.recurrent_gradient = allocate((GATES, hidden, hidden), dtype)
        self.transposed = allocate((GATES, hidden, hidden), dtype)
        self.scale = np.array([0.5, 0.5, 0.5, 1], dtype)[:, None, None]
        # O, I, F and g of step t, then the cell of the step before: [I, F] * [g, cell] is one call.
        self.gates = allocate((GATES + 1, steps + 1, batch, hidden), dtype)
        self.squashed = allocate((steps, batch, hidden), dtype)
        self.states = allocate((steps + 1, batch, hidden), dtype)
        self.deltas = allocate((GATES, steps, batch, hidden), dtype)
        self.products = allocate((GATES, batch, hidden), dtype)
        self.pair = allocate((2, batch, hidden), dtype)
        self.half, self.one = np.full((), 0.5, dtype), np.ones((), dtype)
        self._lay_out_steps()

    def _lay_out_steps(self) -> None:
        """Views of every block and step, so that the loops index nothing."""
        sizes, dtype = self.problem.sizes, self.problem.dtype
        steps, batch, hidden = sizes.steps, sizes.batch, sizes.hidden
        blocks = list(split_steps(sizes, dtype))
        net = allocate((GATES, len(blocks[0]), batch, hidden), dtype)
        factors = allocate((6, len(blocks[0]), batch, hidden), dtype)
        by_state = allocate((len(blocks[0]), batch, hidden), dtype)
        remaining = allocate((2, len(blocks[0]), batch, hidden), dtype)
        gates, states = self.gates, self.states
        error = self.readout.error.reshape(steps, batch, sizes.outputs)
        self.forward_blocks, self.backward_blocks = [], []
        for block in blocks:
            rows, n = slice(block.start, block.stop), len(block)
            forward = [
                (
                    *(net[:, k], gates[:4, t], gates[:3, t], gates[1:3, t], gates[3:, t]),
                    *(gates[4, t + 1], self.squashed[t], gates[0, t], states[t + 1]),
                )
                for k, t in enumerate(block)
            ]
            self.forward_blocks.append((self.x[rows], net[:, :n], forward))
            backward = [
                (
                    *(by_state[k], *factors[:2, k], factors[2:5, k], factors[5, k]),
                    *(self.deltas[0, t], self.deltas[1:, t], self.deltas[:, t]),
                )
                for k, t in enumerate(block)
            ]
            reads = (gates[:, rows], self.squashed[rows], states[1:][rows])
            writes = (factors[:, :n], remaining[:, :n])
            self.backward_blocks.append((error[rows], by_state[:n], reads, writes, backward[::-1]))

    def __call__(self) -> float:
        sizes, rows = self.problem.sizes, self.readout.rows
        self._load()
        self._forward()
        loss = self.readout(
            self.states[1:].reshape(rows, sizes.hidden), self.problem.parameters, self.gradients
        )
        self._backward()
        self._collect()
        return loss

    def _load(self) -> None:
        parameters, hidden = self.problem.parameters, self.problem.sizes.hidden
        np.multiply(_by_gate(parameters["recurrent"], hidden), self.scale * self.half, self.recurrent)
        np.multiply(_by_gate(parameters["input"], hidden), self.scale, self.input[:, :-1])
        np.multiply(_by_gate(parameters["bias"][None], hidden), self.scale, self.input[:, -1:])
        self.transposed[...] = self.recurrent.swapaxes(1, 2)
        self.readout.load(parameters)
        self.x[..., :-1] = self.problem.x

    def _forward(self) -> None:
        add, multiply, tanh, matmul = np.add, np.multiply, np.tanh, np.matmul
        recurrent, products, pair, half, one = self.recurrent, self.products, self.pair, self.half, self.one
        state = self.states[0]
        for x, projections, steps in self.forward_blocks:
            matmul(x, self.input[:, None], projections)
            for net, gates, logistic, admit, admitted, cell, squashed, output, following in steps:
                matmul(state, recurrent, products)
                add(products, net, products)
                tanh(products, gates)
                add(logistic, one, logistic)
                multiply(admit, admitted, pair)
                add(pair[0], pair[1], cell)
                multiply(cell, half, cell)
                tanh(cell, squashed)
                state = multiply(output, squashed, following)

    def _backward(self) -> None:
        add, multiply, matmul = np.add, np.multiply, np.matmul
        transposed, products, half_by_cell = self.transposed, self.products, self.pair[0]
        first, second, third, fourth = products
        later = np.zeros_like(products)
        carried = self.pair[1]
        carried[...] = 0
        for error, by_states, reads, writes, steps in reversed(self.backward_blocks):
            matmul(error, self.readout.transposed, by_states)
            find_factors(*reads, *writes)
            for by_state, to_cell, to_output, to_gates, to_carry, output, gates, deltas in steps:
                matmul(later, transposed, products)
                add(first, second, first)
                add(third, fourth, third)
                add(by_state, first, by_state)
                add(by_state, third, by_state)
                multiply(by_state, to_cell, half_by_cell)
                add(half_by_cell, carried, half_by_cell)
                multiply(by_state, to_output, output)
                multiply(half_by_cell, to_gates, gates)
                multiply(half_by_cell, to_carry, carried)
                later = deltas

    def _collect(self) -> None:
        sizes, gradients, rows = self.problem.sizes, self.gradients, self.readout.rows
        hidden = sizes.hidden
        deltas = self.deltas.reshape(GATES, rows, hidden)
        np.matmul(self.states[:-1].reshape(rows, hidden).T, deltas, self.recurrent_gradient)
        np.matmul(self.x.reshape(rows, -1).T, deltas, self.input_gradient)
        np.multiply(self.recurrent_gradient, self.scale * self.half, _by_gate(gradients["recurrent"], hidden))
        np.multiply(self.input_gradient[:, :-1], self.scale, _by_gate(gradients["input"], hidden))
        np.multiply(self.input_gradient[:, -1:], self.scale, _by_gate(gradients["bias"][None], hidden))


def _by_gate(array: Array, hidden: int) -> Array:
    """A view (gates, rows, hidden) of an array (rows, gates * hidden)."""
    return array.reshape(len(array), GATES, hidden).swapaxes(0, 1)
