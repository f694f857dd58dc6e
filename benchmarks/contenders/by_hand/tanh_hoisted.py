"""A tanh network by hand, what does not recur hoisted out of the time loop.

Forward, per step: one product, one sum, one tanh. Backward, per step: one product, one sum, one product with the
slopes. The input's projection, the readout and all weight derivatives are stacked over the steps. Slopes and
projections are made for a block of steps at a time, just before the loop reads them, so that they are still in the
cache: for large states that is faster than over the whole sequence. The bias is the weight of a constant input.
"""

from __future__ import annotations

import numpy as np

from benchmarks.contenders.by_hand.memory import allocate, pad_width, split_steps
from benchmarks.contenders.by_hand.readout import Readout
from benchmarks.problem import Problem

__all__ = ["TanhHoisted"]


class TanhHoisted:
    """Loss and gradients of a tanh network; a call allocates nothing that grows with steps, batch or units."""

    def __init__(self, problem: Problem) -> None:
        sizes, dtype = problem.sizes, problem.dtype
        steps, batch, hidden, inputs = sizes.steps, sizes.batch, sizes.hidden, sizes.inputs
        self.problem = problem
        self.gradients = problem.empty_gradients()
        self.readout = Readout(problem)
        padded = allocate((steps, batch, pad_width(inputs + 1, dtype)), dtype)
        self.x = padded[..., : inputs + 1]
        self.x[..., inputs] = 1
        self.states = allocate((steps + 1, batch, hidden), dtype)
        self.deltas = allocate((steps, batch, hidden), dtype)
        self.input = allocate((inputs + 1, hidden), dtype)
        self.input_gradient = allocate((inputs + 1, hidden), dtype)
        self.recurrent = allocate((hidden, hidden), dtype)
        self.transposed = allocate((hidden, hidden), dtype)
        self.product = allocate((batch, hidden), dtype)
        self.one = np.ones((), dtype)
        blocks = list(split_steps(sizes, dtype))
        # The projections of a block, going forward; its slopes, coming back.
        scratch = allocate((len(blocks[0]), batch, hidden), dtype)
        error = self.readout.error.reshape(steps, batch, sizes.outputs)
        # Views, so that the loops below index nothing.
        self.forward_blocks, self.backward_blocks = [], []
        for block in blocks:
            rows, part = slice(block.start, block.stop), scratch[: len(block)]
            states, deltas = self.states[1:][rows], self.deltas[rows]
            self.forward_blocks.append((self.x[rows], part, list(zip(part, states, strict=True))))
            backward = list(zip(deltas, part, strict=True))[::-1]
            self.backward_blocks.append((error[rows], deltas, states, part, backward))

    def __call__(self) -> float:
        parameters, x = self.problem.parameters, self.x
        self.input[:-1] = parameters["input"]
        self.input[-1] = parameters["bias"]
        self.recurrent[...] = parameters["recurrent"]
        self.transposed[...] = self.recurrent.T
        self.readout.load(parameters)
        x[..., :-1] = self.problem.x
        self._forward()
        rows, hidden = self.readout.rows, self.recurrent.shape[0]
        loss = self.readout(self.states[1:].reshape(rows, hidden), parameters, self.gradients)
        self._backward()
        deltas = self.deltas.reshape(rows, hidden)
        np.dot(self.states[:-1].reshape(rows, hidden).T, deltas, self.gradients["recurrent"])
        np.dot(x.reshape(rows, -1).T, deltas, self.input_gradient)
        self.gradients["input"][...] = self.input_gradient[:-1]
        self.gradients["bias"][...] = self.input_gradient[-1]
        return loss

    def _forward(self) -> None:
        add, tanh = np.add, np.tanh
        recurrent, product = self.recurrent, self.product
        state = self.states[0]
        for x, projections, steps in self.forward_blocks:
            np.matmul(x, self.input, projections)
            for projection, following in steps:
                state.dot(recurrent, product)
                add(product, projection, product)
                state = tanh(product, following)

    def _backward(self) -> None:
        add, multiply = np.add, np.multiply
        transposed, product = self.transposed, self.product
        later = np.zeros_like(product)
        for error, deltas, states, slopes, steps in reversed(self.backward_blocks):
            np.matmul(error, self.readout.transposed, deltas)
            multiply(states, states, slopes)
            np.subtract(self.one, slopes, slopes)
            for delta, slope in steps:
                later.dot(transposed, product)
                add(delta, product, delta)
                later = multiply(delta, slope, delta)
