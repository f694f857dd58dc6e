"""PyTorch's own layers, where there is one: ``torch.nn.RNN``, ``LSTM``, ``GRU``, and a linear readout."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.contenders.torch_loop import DEVICES
from benchmarks.networks.network import Network
from benchmarks.problem import Array, Gradients, Problem

__all__ = ["MODULES", "TorchModule"]

MODULES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "tanh": (torch.nn.RNN, (0,)),
    "lstm": (torch.nn.LSTM, (1, 2, 3, 0)),
    "gru": (torch.nn.GRU, (0, 1, 2)),
}
"""The layer by network, and which of our blocks of columns each of its blocks of rows is."""


class TorchModule:
    """Loss and gradients of a layer and its readout."""

    def __init__(self, network: Network, problem: Problem, noisy: bool, device: str = "cpu") -> None:
        del noisy
        make, self.order = MODULES[network.name]
        sizes = problem.sizes
        options: Any = {
            "dtype": torch.float32 if problem.dtype == np.float32 else torch.float64,
            "device": DEVICES[device],
        }
        self.layer = make(sizes.inputs, sizes.hidden, **options)
        self.readout = torch.nn.Linear(sizes.hidden, sizes.outputs, **options)
        self.problem = problem
        with torch.no_grad():
            self.layer.bias_hh_l0.zero_()
            for parameter, array in self._pair(problem.parameters):
                parameter.copy_(torch.tensor(array))
        put = partial(torch.tensor, device=DEVICES[device])
        self.x, self.wanted = put(problem.x), put(problem.wanted)

    def _pair(self, arrays: Gradients) -> Iterator[tuple[Any, Array]]:
        """The module's parameters with what belongs there."""
        layer, hidden = self.layer, self.problem.sizes.hidden

        def order(array: Array) -> Array:
            return np.concatenate(
                [array[..., block * hidden : (block + 1) * hidden] for block in self.order], -1
            )

        yield layer.weight_ih_l0, order(arrays["input"]).T
        yield layer.weight_hh_l0, order(arrays["recurrent"]).T
        yield layer.bias_ih_l0, order(arrays["bias"])
        if "recall_bias" in arrays:
            yield layer.bias_hh_l0[-hidden:], arrays["recall_bias"]
        yield self.readout.weight, arrays["readout"].T
        yield self.readout.bias, arrays["readout_bias"]

    def __call__(self) -> Any:
        self.layer.zero_grad()
        self.readout.zero_grad()
        states, _ = self.layer(self.x)
        error = self.readout(states) - self.wanted
        loss = 0.5 * (error * error).sum() / (len(self.x) * self.x.shape[1])
        loss.backward()
        return loss.detach()

    @property
    def gradients(self) -> Gradients:
        layer, hidden = self.layer, self.problem.sizes.hidden

        def order(array: Array) -> Array:
            blocks = [self.order.index(block) for block in range(len(self.order))]
            return np.concatenate([array[..., block * hidden : (block + 1) * hidden] for block in blocks], -1)

        gradients = {
            "input": order(_gradient(layer.weight_ih_l0).T),
            "recurrent": order(_gradient(layer.weight_hh_l0).T),
            "bias": order(_gradient(layer.bias_ih_l0)),
            "readout": _gradient(self.readout.weight).T,
            "readout_bias": _gradient(self.readout.bias),
        }
        if "recall_bias" in self.problem.parameters:
            gradients["recall_bias"] = _gradient(layer.bias_hh_l0)[-hidden:]
        return gradients


def _gradient(parameter: Any) -> Array:
    gradient: Array = parameter.grad.cpu().numpy()
    return gradient
