"""The schedule: which populations recur together, and in which direction of time each such component is scanned.

    schedule  := (component, ...)                       in the order of computation
    component := Component(mode, nodes)
    mode      := given | batched | forward | reverse
    node      := Scheduled(population, phase, level)

`given` populations are data. A `batched` one does not recur: all its steps are computed at once. The others are
strongly connected components of the folded network, scanned step by step. In iteration i (counted in the direction of
the scan) a population of phase p computes its step i - p, after the populations of lower level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Component", "Mode", "Schedule", "Scheduled"]

Mode = Literal["given", "batched", "forward", "reverse"]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One population's place in the iterations of its component."""

    population: str
    phase: int = 0
    level: int = 0


@dataclass(frozen=True, slots=True)
class Component:
    """Populations computed together."""

    mode: Mode
    nodes: tuple[Scheduled, ...]


Schedule = tuple[Component, ...]
