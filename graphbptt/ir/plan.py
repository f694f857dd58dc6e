"""The plan: what a backend needs and no more."""

from __future__ import annotations

from dataclasses import dataclass

from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import ParameterLayout

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    network: FoldedNetwork
    layout: ParameterLayout
