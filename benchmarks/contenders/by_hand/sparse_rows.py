"""A tanh network with sparse recurrent weights by hand, with SciPy's CSR arrays.

States are kept with the examples of a unit side by side, as SciPy's products want them. Forward, per step: the product
with the transposed array, which shares its numbers, a sum, a tanh; backward, per step: the product with the array, a
sum, a product with the slopes. The derivative by the stored weights is taken at the end, for a block of steps at a
time: for each row the deltas of its columns are gathered and multiplied by its states. That is faster than
element-wise products of gathered rows, and than dense products of which a hundredth is kept.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from benchmarks.networks.sparse import draw_places
from benchmarks.problem import Array, Problem

__all__ = ["SparseRows"]

COLUMNS = 1024
"""The steps and examples of a block for the weight derivative: its deltas stay in a cache."""


class SparseRows:
    """Loss and gradients; apart from the results of SciPy's products, a call allocates nothing in its loops."""

    def __init__(self, problem: Problem) -> None:
        sizes, dtype = problem.sizes, problem.dtype
        steps, batch, hidden = sizes.steps, sizes.batch, sizes.hidden
        self.problem = problem
        self.gradients = problem.empty_gradients()
        rows, columns = draw_places(sizes)
        self.columns = columns.astype(np.int32)
        self.starts = np.searchsorted(rows, np.arange(hidden + 1)).astype(np.int32)
        numbers = np.zeros(sizes.entries, dtype)
        self.recurrent = scipy.sparse.csr_array((numbers, self.columns, self.starts), shape=(hidden, hidden))
        self.turned = self.recurrent.T  # entries in columns, the same numbers
        self.x = np.ones((steps, sizes.inputs + 1, batch), dtype)
        self.states = np.zeros((steps + 1, hidden, batch), dtype)
        self.deltas = np.zeros((steps, hidden, batch), dtype)
        self.error = np.zeros((steps, sizes.outputs, batch), dtype)
        self.slope = np.zeros((hidden, batch), dtype)
        self.length = min(steps, max(1, COLUMNS // batch))
        width = self.length * batch
        self.block = {
            name: np.zeros(count * width, dtype)
            for name, count in (
                ("x", sizes.inputs + 1),
                ("states", hidden),
                ("deltas", hidden),
                ("error", sizes.outputs),
                ("following", hidden),
                ("gathered", int(np.diff(self.starts).max())),
            )
        }
        self.part = np.zeros(sizes.entries, dtype)

    def __call__(self) -> float:
        parameters, steps = self.problem.parameters, self.problem.sizes.steps
        self.recurrent.data[...] = parameters["recurrent"]
        self.x[:, :-1] = self.problem.x.swapaxes(1, 2)
        self.input = np.vstack([parameters["input"], parameters["bias"]])
        states, error, tanh = self.states, self.error, np.tanh
        for step in range(steps):
            net = self.turned @ states[step]
            net += self.input.T @ self.x[step]
            tanh(net, states[step + 1])
            np.dot(parameters["readout"].T, states[step + 1], error[step])
        error += parameters["readout_bias"][:, None]
        error -= self.problem.wanted.swapaxes(1, 2)
        pairs = steps * self.problem.sizes.batch
        loss = 0.5 * float(np.vdot(error, error)) / pairs
        error *= self.problem.dtype.type(1 / pairs)
        self._backward(parameters["readout"])
        self._contract()
        return loss

    def _backward(self, readout: Array) -> None:
        states, slope = self.states, self.slope
        later = None
        for step in reversed(range(len(self.deltas))):
            delta = np.dot(readout, self.error[step], self.deltas[step])
            if later is not None:
                delta += self.recurrent @ later
            np.multiply(states[step + 1], states[step + 1], slope)
            np.subtract(1, slope, slope)
            later = np.multiply(delta, slope, delta)

    def _contract(self) -> None:
        """The derivatives by all weights, block after block of steps."""
        gradients = self.gradients
        sums = {name: np.zeros_like(array) for name, array in gradients.items()}
        by_input = np.zeros((len(self.input), self.problem.sizes.hidden), self.problem.dtype)
        for first in range(0, len(self.deltas), self.length):
            when = slice(first, first + self.length)
            series = {"states": self.states[:-1], "following": self.states[1:], "deltas": self.deltas}
            series |= {"x": self.x, "error": self.error}
            turned = {name: self._turn(name, array[when]) for name, array in series.items()}
            sums["readout"] += turned["following"] @ turned["error"].T
            sums["readout_bias"] += turned["error"].sum(axis=1)
            by_input += turned["x"] @ turned["deltas"].T
            self._sample(turned["states"], turned["deltas"])
            sums["recurrent"] += self.part
        sums["input"], sums["bias"] = by_input[:-1], by_input[-1]
        for name, array in sums.items():
            gradients[name][...] = array

    def _turn(self, name: str, series: Array) -> Array:
        """(steps, units, batch) as (units, steps and examples)."""
        steps, units, batch = series.shape
        out = self.block[name][: units * steps * batch].reshape(units, steps, batch)
        np.copyto(out, series.swapaxes(0, 1))
        return out.reshape(units, steps * batch)

    def _sample(self, states: Array, deltas: Array) -> None:
        starts, columns, width = self.starts.tolist(), self.columns, states.shape[1]
        for row in range(len(states)):
            start, stop = starts[row], starts[row + 1]
            gathered = self.block["gathered"][: (stop - start) * width].reshape(stop - start, width)
            deltas.take(columns[start:stop], 0, gathered, "clip")
            gathered.dot(states[row], self.part[start:stop])
