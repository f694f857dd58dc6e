"""The network in PyTorch by hand: a loop over the steps, eager or compiled in pieces, and automatic differentiation.

What does not recur, the input's projection and the readout, is done for all steps at once. Compiled is a function of a
few steps, because tracing all of them takes minutes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.networks.network import Network, Operations
from benchmarks.problem import Array, Gradients, Problem

__all__ = ["DEVICES", "TorchLoop", "TorchStep", "list_operations"]

PIECE = 16
"""The largest number of steps that are compiled together."""

DEVICES = {"cpu": "cpu", "gpu": "cuda"}
"""What PyTorch calls the devices."""


def list_operations(dtype: np.dtype[Any], device: str = "cpu") -> Operations:
    options: Any = {
        "dtype": torch.float32 if dtype == np.float32 else torch.float64,
        "device": DEVICES[device],
    }

    placed: dict[int, tuple[Array, Any]] = {}

    def place(array: Array) -> Any:
        """An array on the device; the same one, which stays alive, is put there once."""
        if id(array) not in placed:
            placed[id(array)] = array, torch.from_numpy(array).to(options["device"])
        return placed[id(array)][1]

    def scatter(entries: Any, rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
        return torch.zeros(shape, **options).index_put((place(rows), place(columns)), entries)

    return Operations(
        tanh=torch.tanh,
        logistic=torch.sigmoid,
        relu=torch.relu,
        concatenate=lambda parts: torch.cat(list(parts), -1),
        stack=lambda parts: torch.stack(list(parts)),
        split=lambda tensor, widths: torch.split(tensor, list(widths), -1),
        add_product=lambda net, left, right: (torch.addmm if left.ndim == 2 else torch.baddbmm)(
            net, left, right
        ),
        zeros=lambda *shape: torch.zeros(shape, **options),
        constant=lambda array: place(array).to(options["dtype"]),
        scatter=scatter,
        normal=lambda *shape: torch.randn(shape, **options),
    )


def _cut(projected: Any, length: int) -> list[Any]:
    """Pieces of so many steps, by one operation: each step that is indexed has a derivative as long as all of them."""
    if isinstance(projected, tuple):
        return list(zip(*(part.split(length) for part in projected), strict=True))
    return list(projected.split(length))


def _list_steps(projected: Any) -> list[Any]:
    if isinstance(projected, tuple):
        return list(zip(*(part.unbind() for part in projected), strict=True))
    return list(projected.unbind())


class TorchLoop:
    """Loss and gradients by automatic differentiation."""

    def __init__(
        self, network: Network, problem: Problem, noisy: bool, compiled: bool = False, device: str = "cpu"
    ) -> None:
        self.network, self.noisy, self.sizes = network, noisy, problem.sizes
        self.ops = list_operations(problem.dtype, device)
        put = partial(torch.tensor, device=DEVICES[device])
        self.parameters = {name: put(array, requires_grad=True) for name, array in problem.parameters.items()}
        self.x, self.wanted = put(problem.x), put(problem.wanted)
        steps = problem.sizes.steps
        self.piece = max(n for n in range(1, PIECE + 1) if steps % n == 0) if compiled else steps
        self.walk = torch.compile(self._walk_traced) if compiled else self._walk

    def _walk(self, p: Any, carry: Any, projected: Any) -> tuple[Any, Any]:
        states = []
        for number, row in enumerate(_list_steps(projected), 1):
            carry, state = self.network.step_at(self.ops, p, carry, row, number)
            states.append(state)
        return carry, torch.stack(states)

    def _walk_traced(self, p: Any, carry: Any, projected: Any) -> tuple[Any, Any]:
        states = []
        for number, row in enumerate(_list_steps(projected), 1):
            carry, state = self.network.step_in(self.ops, p, carry, row, number, self.piece)
            states.append(state)
        return carry, torch.stack(states)

    def __call__(self) -> Any:
        for parameter in self.parameters.values():
            parameter.grad = None
        p = self.network.complete(self.ops, self.parameters, self.sizes)
        projected = self.network.project(self.ops, p, self.x, self.noisy)
        carry = self.network.start(self.ops, p, self.sizes.batch)
        pieces = []
        for piece in _cut(projected, self.piece):
            carry, states = self.walk(p, carry, piece)
            pieces.append(states)
        error = self.network.read_out(p, torch.cat(pieces)) - self.wanted
        loss = 0.5 * (error * error).sum() / (self.sizes.steps * self.sizes.batch)
        loss.backward()
        return loss.detach()

    @property
    def gradients(self) -> Gradients:
        grads: dict[str, Any] = {name: parameter.grad for name, parameter in self.parameters.items()}
        return {name: grad.cpu().numpy() for name, grad in grads.items()}


class TorchStep:
    """One step of the network, eager or compiled, nothing kept for derivatives."""

    def __init__(
        self, network: Network, problem: Problem, noisy: bool, compiled: bool = False, device: str = "cpu"
    ) -> None:
        del noisy
        self.network, self.ops = network, list_operations(problem.dtype, device)
        put = partial(torch.tensor, device=DEVICES[device])
        self.parameters = {name: put(array) for name, array in problem.parameters.items()}
        self.x = list(put(problem.x))
        self.carry = network.start(self.ops, self.parameters, problem.sizes.batch)
        self.output, self.taken = problem.x[0], 0
        self.advance = torch.compile(self._advance) if compiled else self._advance

    def _advance(self, carry: Any, x: Any) -> tuple[Any, Any]:
        projected = self.network.project(self.ops, self.parameters, x, False)
        carry, state = self.network.step(self.ops, self.parameters, carry, projected)
        return carry, self.network.read_out(self.parameters, state)

    def __call__(self) -> float:
        with torch.inference_mode():
            self.carry, output = self.advance(self.carry, self.x[self.taken % len(self.x)])
        self.output = output.cpu().numpy()
        self.taken += 1
        return float(self.output[0, 0])

    @property
    def gradients(self) -> Gradients:
        return {"y": self.output}
