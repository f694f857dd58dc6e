"""The declared network, compiled by graphbptt and run by one of its backends."""

from __future__ import annotations

import numpy as np

import graphbptt
from benchmarks.networks.network import Network
from benchmarks.problem import Gradients, Problem
from graphbptt import named

__all__ = ["Compiled", "CompiledStep", "compile_network"]


def compile_network(network: Network, problem: Problem, noisy: bool, backend: str) -> graphbptt.Model:
    """The compiled network with the problem's parameters."""
    sizes = problem.sizes
    model = graphbptt.compile(
        network.declare(sizes, noisy),
        inputs=network.inputs(sizes),
        targets=network.targets(sizes),
        backend=backend,
        dtype=problem.dtype,
    )
    for group, values in network.split(problem.parameters, sizes).items():
        model.parameters[group] = values
    return model


class Compiled:
    """The same call as the peers': loss and all gradients of a batch that is bound once."""

    def __init__(self, network: Network, problem: Problem, noisy: bool, backend: str) -> None:
        self.network, self.problem = network, problem
        self.model = compile_network(network, problem, noisy, backend)
        fields = {"x": problem.x.swapaxes(0, 1), "wanted": problem.wanted.swapaxes(0, 1)}
        self.batch = self.model.bind(fields)
        self.gradient = np.zeros(self.model.plan.layout.free, problem.dtype)

    def __call__(self) -> float:
        return self.model.loss_and_gradient(self.batch, self.gradient)

    @property
    def gradients(self) -> Gradients:
        arrays = self.problem.empty_gradients()
        model = self.model
        groups = named.Gradients(model.plan.layout, model.aliases, model.network, self.gradient)
        for group, view in self.network.split(arrays, self.problem.sizes).items():
            view[...] = groups[group]
        return arrays


class CompiledStep:
    """One step of a stream, `Model.step`."""

    def __init__(self, network: Network, problem: Problem, noisy: bool, backend: str) -> None:
        self.model = compile_network(network, problem, noisy, backend)
        self.x = [{"x": row} for row in problem.x]
        self.output = problem.x[0]
        self.taken = 0

    def __call__(self) -> float:
        self.output = self.model.step(self.x[self.taken % len(self.x)])["y"]
        self.taken += 1
        return float(self.output[0, 0])

    @property
    def gradients(self) -> Gradients:
        return {"y": self.output}
