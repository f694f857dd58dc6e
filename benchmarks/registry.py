"""What there is to measure: workloads by name, and for each network the contenders that can run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from benchmarks.contenders.compiled import Compiled
from benchmarks.contenders.lstm_augmented import LstmAugmented
from benchmarks.contenders.lstm_hoisted import LstmHoisted
from benchmarks.contenders.sparse_rows import SparseRows
from benchmarks.contenders.tanh_augmented import TanhAugmented
from benchmarks.contenders.tanh_hoisted import TanhHoisted
from benchmarks.problem import Gradients, Problem, Sizes
from benchmarks.workloads.lstm import LSTM
from benchmarks.workloads.network import Network
from benchmarks.workloads.sparse import SPARSE
from benchmarks.workloads.tanh import TANH

__all__ = ["HAND_WRITTEN", "WORKLOADS", "Contender", "Workload", "list_contenders"]


class Contender(Protocol):
    """A problem made ready: a call computes loss and gradients, and is what is timed."""

    def __call__(self) -> float: ...

    @property
    def gradients(self) -> Gradients:
        """What the last call computed, by the names of `Sizes.shapes`."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A network at one size, and the ratio to the fastest hand-written contender that is asked of the compiled one."""

    network: Network
    sizes: Sizes
    limit: float

    @property
    def name(self) -> str:
        return f"{self.network.name}-{self.sizes.hidden}"


# (inputs, hidden, batch, steps) and the ratio asked for.
SIZES = (((32, 128, 32, 100), 1.1), ((64, 256, 64, 100), 1.1), ((8, 16, 1, 100), 1.5))

WORKLOADS = {
    workload.name: workload
    for workload in (
        *(
            Workload(network, Sizes(*sizes, gates=len(network.gates)), limit)
            for network in (TANH, LSTM)
            for sizes, limit in SIZES
        ),
        Workload(SPARSE, Sizes(32, 10_000, 32, 100, gates=1, entries=1_000_000), 1.2),
    )
}

HAND_WRITTEN: dict[str, dict[str, Callable[[Problem], Contender]]] = {
    "tanh": {"hoisted": TanhHoisted, "augmented": TanhAugmented},
    "lstm": {"hoisted": LstmHoisted, "augmented": LstmAugmented},
    "sparse": {"rows": SparseRows},
}


def list_contenders(network: Network, backend: str) -> dict[str, Callable[[Problem], Contender]]:
    """The compiled network on `backend`, by that backend's name, and the hand-written ones."""
    return {backend: partial(Compiled, network, backend=backend), **HAND_WRITTEN[network.name]}
