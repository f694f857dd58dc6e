"""The network in JAX by hand: ``lax.scan`` over the steps, differentiated and compiled as a whole."""

from __future__ import annotations

import math
import operator
from functools import partial
from itertools import accumulate
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.networks.network import Network, Operations
from benchmarks.problem import Gradients, Problem

__all__ = ["JaxScan", "JaxStep"]

jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]


def list_operations(dtype: np.dtype[Any], key: Any) -> Operations:
    return Operations(
        tanh=jnp.tanh,
        logistic=jax.nn.sigmoid,
        relu=jax.nn.relu,
        concatenate=lambda parts: jnp.concatenate(list(parts), -1),
        stack=lambda parts: jnp.stack(list(parts)),
        split=lambda tensor, widths: jnp.split(tensor, list(accumulate(widths))[:-1], -1),
        add_product=lambda net, left, right: net + left @ right,
        zeros=lambda *shape: jnp.zeros(shape, dtype),
        constant=lambda array: jnp.asarray(array, dtype),
        scatter=lambda entries, rows, columns, shape: (
            jnp.zeros(shape, dtype).at[rows, columns].set(entries, unique_indices=True)
        ),
        normal=lambda *shape: jax.random.normal(key, shape, dtype),
    )


def _scan(network: Network, ops: Operations, p: Any, start: Any, projected: Any, steps: int) -> Any:
    """The states of all steps; as many are written out as the network asks for, where that divides them."""
    piece = math.gcd(steps, network.piece)
    if piece == 1:
        return jax.lax.scan(partial(network.step, ops, p), start, projected)[1]

    def advance(carry: Any, rows: Any) -> tuple[Any, Any]:
        states = []
        for number in range(1, piece + 1):
            row = jax.tree.map(operator.itemgetter(number - 1), rows)
            carry, state = network.step_in(ops, p, carry, row, number, piece)
            states.append(state)
        return carry, jnp.stack(states)

    pieces = jax.tree.map(lambda part: part.reshape(-1, piece, *part.shape[1:]), projected)
    _, states = jax.lax.scan(advance, start, pieces)
    return states.reshape(-1, *states.shape[2:])


class JaxScan:
    """Loss and gradients in one compiled function."""

    def __init__(self, network: Network, problem: Problem, noisy: bool) -> None:
        self.parameters = {name: jnp.asarray(array) for name, array in problem.parameters.items()}
        self.x, self.wanted = jnp.asarray(problem.x), jnp.asarray(problem.wanted)
        self.noisy, self.calls = noisy, 0
        self.differentiate = jax.jit(jax.value_and_grad(partial(self._loss, network, problem, noisy)))
        self.result: Any = None

    def _loss(
        self, network: Network, problem: Problem, noisy: bool, parameters: Any, x: Any, wanted: Any, call: Any
    ) -> Any:
        key = jax.random.fold_in(jax.random.key(0), call) if noisy else None
        ops, sizes = list_operations(problem.dtype, key), problem.sizes
        p = network.complete(ops, parameters, sizes)
        projected = network.project(ops, p, x, noisy)
        start = network.start(ops, p, sizes.batch)
        states = _scan(network, ops, p, start, projected, sizes.steps)
        error = network.read_out(p, states) - wanted
        return 0.5 * (error * error).sum() / (sizes.steps * sizes.batch)

    def __call__(self) -> float:
        self.calls += 1
        call = self.calls if self.noisy else None
        loss, self.result = self.differentiate(self.parameters, self.x, self.wanted, call)
        jax.block_until_ready(self.result)  # type: ignore[no-untyped-call]
        return float(loss)

    @property
    def gradients(self) -> Gradients:
        return {name: np.asarray(array) for name, array in self.result.items()}


class JaxStep:
    """One step of the network in a compiled function, of which the parameters are constants."""

    def __init__(self, network: Network, problem: Problem, noisy: bool) -> None:
        del noisy
        ops = list_operations(problem.dtype, None)
        parameters = {name: jnp.asarray(array) for name, array in problem.parameters.items()}
        self.x = [jnp.asarray(row) for row in problem.x]
        self.carry = network.start(ops, parameters, problem.sizes.batch)
        self.output = problem.x[0]
        self.taken = 0

        def advance(carry: Any, x: Any) -> tuple[Any, Any]:
            projected = network.project(ops, parameters, x, False)
            carry, state = network.step(ops, parameters, carry, projected)
            return carry, network.read_out(parameters, state)

        self.advance = jax.jit(advance)

    def __call__(self) -> float:
        x = self.x[self.taken % len(self.x)]
        self.carry, output = self.advance(self.carry, x)
        self.output = np.asarray(output)
        self.taken += 1
        return float(self.output[0, 0])

    @property
    def gradients(self) -> Gradients:
        return {"y": self.output}
