"""The eager loop of PyTorch as one CUDA graph, derivatives included: captured once, launched as a whole."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.contenders.torch_loop import TorchLoop
from benchmarks.networks.network import Network
from benchmarks.problem import Problem

__all__ = ["TorchGraph"]

WARM_UPS = 3
"""What libraries set up at their first calls must not happen while a graph is captured."""


class TorchGraph(TorchLoop):
    """Loss and gradients lie where the captured call has put them, and are overwritten by each launch."""

    def __init__(self, network: Network, problem: Problem, noisy: bool, device: str = "gpu") -> None:
        super().__init__(network, problem, noisy, device=device)
        aside: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                super().__call__()
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss = super().__call__()

    def __call__(self) -> Any:
        self.graph.replay()
        return self.loss
