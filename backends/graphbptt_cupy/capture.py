"""Calls that are recorded as CUDA graphs when they are made for the second time, and launched as such from then on.

The first time they are made as they are: kernels are compiled, and libraries take what memory they want, none of which
may happen while a stream is captured. What is recorded is what was made, so the numbers are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from graphbptt_cupy.device import Call

__all__ = ["MOST_NODES", "Repetition"]

MOST_NODES = 2000
"""Of one graph. Long sequences are several, launched one after the other: the time that it takes to make a graph ready
grows with its size, and all of them together take no longer to launch than a step does to run."""


class Repetition:
    """Calls that start work on a stream, which is the current one whenever they are made."""

    def __init__(self, calls: Sequence[Call], stream: Any, most: int = MOST_NODES) -> None:
        self._stretches = [calls[first : first + most] for first in range(0, len(calls), most)]
        self._stream = stream
        self._tried = False
        self._graphs: list[Any] = []

    def __call__(self) -> None:
        if self._tried and not self._graphs:
            self._graphs = [self._record(calls) for calls in self._stretches]
        for graph in self._graphs:
            graph.launch(self._stream)
        if not self._tried:
            for calls in self._stretches:
                _make(calls)
            self._tried = True

    def _record(self, calls: Sequence[Call]) -> Any:
        self._stream.begin_capture()
        try:
            _make(calls)
        except BaseException:
            with suppress(Exception):  # a stream that goes on being captured would be of no use any more
                self._stream.end_capture()
            raise
        return self._stream.end_capture()


def _make(calls: Sequence[Call]) -> None:
    for call in calls:
        call()
