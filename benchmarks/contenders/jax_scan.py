"""The network in JAX by hand: ``lax.scan`` over the steps, differentiated and compiled as a whole."""

from __future__ import annotations

from functools import partial
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
        zeros=lambda *shape: jnp.zeros(shape, dtype),
        constant=lambda array: jnp.asarray(array, dtype),
        scatter=lambda entries, rows, columns, shape: (
            jnp.zeros(shape, dtype).at[rows, columns].set(entries, unique_indices=True)
        ),
        normal=lambda *shape: jax.random.normal(key, shape, dtype),
    )


class JaxScan:
    """Loss and gradients in one compiled function."""

    def __init__(self, network: Network, problem: Problem, noisy: bool) -> None:
        self.parameters = {name: jnp.asarray(array) for name, array in problem.parameters.items()}
        self.x, self.wanted = jnp.asarray(problem.x), jnp.asarray(problem.wanted)
        self.key = jax.random.key(0)
        self.differentiate = jax.jit(jax.value_and_grad(partial(self._loss, network, problem, noisy)))
        self.result: Any = None

    def _loss(
        self, network: Network, problem: Problem, noisy: bool, parameters: Any, x: Any, wanted: Any, key: Any
    ) -> Any:
        ops, sizes = list_operations(problem.dtype, key), problem.sizes
        p = network.complete(ops, parameters, sizes)
        projected = network.project(ops, p, x, noisy)
        start = network.start(ops, p, sizes.batch)
        _, states = jax.lax.scan(partial(network.step, ops, p), start, projected)
        error = network.read_out(p, states) - wanted
        return 0.5 * (error * error).sum() / (sizes.steps * sizes.batch)

    def __call__(self) -> float:
        self.key, key = jax.random.split(self.key)
        loss, self.result = self.differentiate(self.parameters, self.x, self.wanted, key)
        jax.block_until_ready(self.result)  # type: ignore[no-untyped-call]
        return float(loss)

    @property
    def gradients(self) -> Gradients:
        return {name: np.asarray(array) for name, array in self.result.items()}


class JaxStep:
    """One step of the network in a compiled function."""

    def __init__(self, network: Network, problem: Problem, noisy: bool) -> None:
        del noisy
        ops = list_operations(problem.dtype, None)
        self.parameters = {name: jnp.asarray(array) for name, array in problem.parameters.items()}
        self.x = list(problem.x)
        self.carry = network.start(ops, self.parameters, problem.sizes.batch)
        self.output: Any = None
        self.taken = 0

        def advance(parameters: Any, carry: Any, x: Any) -> tuple[Any, Any]:
            projected = network.project(ops, parameters, x, False)
            carry, state = network.step(ops, parameters, carry, projected)
            return carry, network.read_out(parameters, state)

        self.advance = jax.jit(advance)

    def __call__(self) -> float:
        x = self.x[self.taken % len(self.x)]
        self.carry, self.output = self.advance(self.parameters, self.carry, x)
        self.taken += 1
        return float(self.output[0, 0])

    @property
    def gradients(self) -> Gradients:
        return {"y": np.asarray(self.output)}
