"""What applies a projection to parameters, update after update."""

from __future__ import annotations

from graphbptt.keeper.keeper import Keeper

__all__ = ["Keeper"]
