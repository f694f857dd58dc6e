"""Devices, streams, events and graphs as CuPy has them, for `host_cupy`: which are current, and what is in which order.

Work on a stream is done as late as may be: when the host waits for the stream, or another stream for an event behind
it. So what is not ordered by events comes in the wrong order, and is seen.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host_cupy import HostCupy

__all__ = ["HostDeviceNumber", "HostEvent", "HostGraph", "HostStream"]


class HostDeviceNumber:
    """The current device, or another one, which may be made so."""

    compute_capability = "90"

    def __init__(self, cupy: HostCupy, number: int | None = None) -> None:
        self._cupy, self.id = cupy, cupy.device if number is None else number
        self._before: list[int] = []

    def __enter__(self) -> None:
        self._before.append(self._cupy.device)
        self._cupy.device = self.id

    def __exit__(self, *_: object) -> None:
        self._cupy.device = self._before.pop()


class HostStream:
    def __init__(self, cupy: HostCupy, non_blocking: bool) -> None:
        assert non_blocking, "the default stream cannot be captured"
        self._cupy, self.device = cupy, cupy.device
        self.ptr = id(self)
        self.recorded: list[Callable[[], object]] | None = None
        self.queue: deque[Callable[[], object]] = deque()
        self._before: list[HostStream | None] = []
        cupy.streams[self.ptr] = self

    def __enter__(self) -> None:
        self._cupy.require_device(self.device)
        self._before.append(self._cupy.current)
        self._cupy.current = self

    def __exit__(self, *_: object) -> None:
        self._cupy.current = self._before.pop()

    def begin_capture(self) -> None:
        assert self.recorded is None
        assert not gc.isenabled(), "what is destroyed meanwhile may wait for the device"
        self.recorded = []

    def end_capture(self) -> HostGraph:
        assert self.recorded is not None
        recorded, self.recorded = self.recorded, None
        return HostGraph(self._cupy, recorded)

    def synchronize(self) -> None:
        """Who waits for the work of the current stream takes all to be done, copies that go beside it, too."""
        self._cupy.require_no_capture("wait")
        self.work_up_to(None)
        left = self is self._cupy.current and any(stream.queue for stream in self._cupy.streams.values())
        assert not left, "the host goes on, and may write to what is still copied from there"

    def record(self, event: HostEvent) -> None:
        assert self.recorded is None, "an event while the stream is captured"
        assert event.device == self.device, "an event of another device"
        event.mark = mark = Mark(self)
        self.queue.append(mark.reach)

    def wait_event(self, event: HostEvent) -> None:
        """For what was recorded last; later records change nothing."""
        assert self.recorded is None, "an event while the stream is captured"
        if event.mark is not None:
            self.queue.append(partial(event.mark.stream.work_up_to, event.mark))

    def work_up_to(self, mark: Mark | None) -> None:
        """Do what was put there before, or all."""
        while self.queue and not (mark and mark.reached):
            self.queue.popleft()()


class HostEvent:
    def __init__(self, cupy: HostCupy, disable_timing: bool) -> None:
        assert disable_timing, "an event that takes the time costs more"
        self.device = cupy.device
        self.mark: Mark | None = None


class Mark:
    """A place in the work of a stream."""

    def __init__(self, stream: HostStream) -> None:
        self.stream, self.reached = stream, False

    def reach(self) -> None:
        self.reached = True


class HostGraph:
    def __init__(self, cupy: HostCupy, recorded: list[Callable[[], object]]) -> None:
        self._cupy, self.recorded = cupy, recorded

    def launch(self, stream: HostStream) -> None:
        assert stream is self._cupy.current
        self._cupy.require_no_capture("graph")
        stream.queue.extend(self.recorded)
