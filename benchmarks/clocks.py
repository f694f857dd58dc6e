"""How calls of a contender are timed: by the host's clock, or by events on the device that works for it.

A call of PyTorch's on a GPU returns before its work is done; events are marks in that work. All other contenders
return when their work is done, on whatever device, and so the host's clock is right for them.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any, Protocol

__all__ = ["Clock", "EventClock", "HostClock", "find_clock"]


class Clock(Protocol):
    """Tells how long the work took that was asked for between two calls."""

    def start(self) -> None: ...

    def stop(self) -> float:
        """Seconds since the start, once all that was asked for in between is done."""


class HostClock:
    """For calls that return when their work is done."""

    def start(self) -> None:
        self.started = time.perf_counter()

    def stop(self) -> float:
        return time.perf_counter() - self.started


class EventClock:
    """For work on PyTorch's current CUDA stream; `torch` is the module."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.before, self.after = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def start(self) -> None:
        self.torch.cuda.synchronize()
        self.before.record()

    def stop(self) -> float:
        self.after.record()
        self.after.synchronize()
        return float(self.before.elapsed_time(self.after)) / 1e3


def find_clock(contender: str, device: str) -> Clock:
    """The clock for a contender on ``"cpu"`` or ``"gpu"``."""
    if device == "gpu" and contender.startswith("torch"):
        return EventClock(import_module("torch"))
    return HostClock()
