"""Calls that are recorded as CUDA graphs when they are made for the second time, and launched as such from then on.

The first time they are made as they are: kernels are loaded, and libraries take what memory they want, none of which
may happen while a stream is captured. What is recorded is what was made, so the numbers are the same to the last bit.

CuPy captures in the relaxed mode: nothing that is asked for meanwhile is refused, here or in other threads, but what
waits for the whole device, which ends the capture (`undisturbed`). Where another library does so, the calls are made as
they are, and recorded the next time.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from graphbptt.backend import log_once
from graphbptt.errors import DeviceError
from graphbptt_cupy.device import Call, make_calls

__all__ = ["MOST_NODES", "MOST_TRIES", "Repetition", "undisturbed"]

MOST_NODES = 2000
"""Of one graph. Long sequences are several, launched one after the other: the time that it takes to make a graph ready
grows with its size, and all of them together take no longer to launch than a step does to run."""

MOST_TRIES = 3
"""To record the same calls."""

_LOCK = threading.RLock()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Nothing that waits for the whole device happens in other threads that ask for the same, nor when the garbage
    collector finds what has to be destroyed: to destroy a handle of cuBLAS is such a wait, and ends every capture."""
    with _LOCK:
        collecting = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if collecting:
                gc.enable()


class Repetition:
    """Calls that start work on a stream, which is the current one whenever they are made.

    They are let go once they are recorded. Graphs keep nothing of what they work with: whoever launches them holds the
    memory, the compiled kernels and the device.
    """

    def __init__(self, calls: Sequence[Call], stream: Any, most: int = MOST_NODES) -> None:
        self._stretches = [calls[first : first + most] for first in range(0, len(calls), most)]
        self._stream = stream
        self._made = False
        self._tries = 0
        self._graphs: list[Any] = []

    def __call__(self) -> None:
        if self._made and not self._graphs and self._tries < MOST_TRIES:
            self._graphs = self._record_all()
            if self._graphs:
                self._stretches.clear()
        for graph in self._graphs:
            graph.launch(self._stream)
        if not self._graphs:
            for calls in self._stretches:
                make_calls(calls)
            self._made = True

    def _record_all(self) -> list[Any]:
        """The graphs; none if CUDA does not make them."""
        self._tries += 1
        try:
            with undisturbed():
                return [self._record(calls) for calls in self._stretches]
        except (RuntimeError, DeviceError) as error:
            log_once(
                f"graphbptt starts the GPU's work call by call, which takes longer than as a graph: {error}"
            )
            return []

    def _record(self, calls: Sequence[Call]) -> Any:
        try:
            self._stream.begin_capture()
            make_calls(calls)
            return self._stream.end_capture()
        except BaseException:
            with suppress(Exception):  # a stream that goes on being captured would be of no use any more
                self._stream.end_capture()
            raise
