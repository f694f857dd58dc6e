"""The declared network, compiled by graphbptt and run by one of its backends."""

from __future__ import annotations

import numpy as np

import graphbptt
from benchmarks.problem import Gradients, Problem
from benchmarks.workloads.network import Network

__all__ = ["Compiled"]


class Compiled:
    """The same call as the hand-written contenders': loss and all gradients of a batch that is bound once."""

    def __init__(self, network: Network, problem: Problem, backend: str) -> None:
        self.network = network
        self.problem = problem
        self.model = graphbptt.compile(
            network.declare(problem.sizes),
            inputs=network.inputs,
            targets=network.targets,
            backend=backend,
            dtype=problem.dtype,
        )
        for group, values in network.split(problem.parameters).items():
            self.model.parameters[group] = values
        fields = {"x": problem.x.swapaxes(0, 1), "wanted": problem.wanted.swapaxes(0, 1)}
        self.batch = self.model.bind(fields)
        self.gradient = np.zeros(self.model.plan.layout.free, problem.dtype)

    def __call__(self) -> float:
        return self.model.loss_and_gradient(self.batch, self.gradient)

    @property
    def gradients(self) -> Gradients:
        """The gradients in the hand-written form, gates side by side."""
        arrays = {name: np.zeros_like(array) for name, array in self.problem.parameters.items()}
        for group, view in self.network.split(arrays).items():
            view[...] = self.model.plan.layout.view(self.gradient, group)
        return arrays
