"""The floor: how long the network's matrix products would take at the rate of one large product."""

from __future__ import annotations

import numpy as np

from benchmarks.networks.network import Network
from benchmarks.problem import Gradients, Problem

__all__ = ["Floor"]

SIDE = 1024
"""A product of this size reaches what the linear algebra library can do."""


class Floor:
    """A call multiplies two large matrices; its time, times `calls_per_batch`, is the floor of the network."""

    def __init__(self, network: Network, problem: Problem, noisy: bool) -> None:
        del noisy
        sizes = problem.sizes
        groups = network.split(problem.parameters, sizes).items()
        per_step = sum(
            network.count_products(group, sizes) * array.size
            for group, array in groups
            if not group.endswith(".bias")
        )
        self.calls_per_batch = per_step * sizes.steps * sizes.batch / SIDE**3
        rng = np.random.default_rng(0)
        self.left, self.right = (rng.random((SIDE, SIDE)).astype(problem.dtype) for _ in range(2))
        self.out = np.empty_like(self.left)

    def __call__(self) -> float:
        np.dot(self.left, self.right, self.out)
        return 0.0

    @property
    def gradients(self) -> Gradients:
        return {}
