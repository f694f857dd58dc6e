"""Training that is interrupted at any line of the backend, with a CuPy that is the host's memory."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import pytest
from host_cupy import HostCupy
from updating import build_model, draw_fields

import graphbptt
from graphbptt.training import run_updates
from graphbptt.training.loop import train
from graphbptt_cupy import bound_plan, capture, executable, gpu, program, updater
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.gpu import GpuDevice

PLACES = [module.__file__ for module in (run_updates, updater, executable, bound_plan, program, gpu, capture)]
"""Where interrupts come: what begins, runs and ends the device's work."""

Line = tuple[str, int]


@contextmanager
def watch_lines(see: Callable[[Line], None]) -> Iterator[None]:
    """Call it before each line in these places; what it raises is raised there."""

    def watch(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            see((frame.f_code.co_filename, frame.f_lineno))
        return watch

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        return watch(frame, event, argument) if frame.f_code.co_filename in PLACES else None

    before = sys.gettrace()
    gc.disable()  # what it destroys is destroyed by lines of the same places
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)
        gc.enable()


def test_an_interrupt_at_any_line_is_what_arrives(cupy: HostCupy) -> None:
    """It comes when a line is reached for the first time in an epoch, or for the last time.

    Nothing is left running, and the model has the parameters that it began with, or those of the whole epoch.
    """

    def make(plan: graphbptt.ir.plan.Plan, dtype: type[np.floating]) -> DeviceExecutable:
        return DeviceExecutable(plan, np.dtype(dtype), GpuDevice(cupy, Numbers(np.dtype(dtype))))

    model = build_model(make)
    fields, begin = {name: draw_fields(2)[name][:, :2] for name in "xy"}, model.vector.copy()

    def learn() -> bytes:
        model.vector[...] = begin
        train(model, fields, batch=1, epochs=1, seed=1, clip=0.5)
        return model.vector.tobytes()

    learn()
    seen: list[Line] = []
    with watch_lines(seen.append):
        learned = learn()
    reached = {line: [number for number, other in enumerate(seen) if other == line] for line in set(seen)}
    for line in sorted(reached):
        planted = reached[line][-(line[1] % 2)]
        left = planted

        def interrupt(here: Line) -> None:
            nonlocal left
            left -= 1
            if left == -1:
                sys.settrace(None)
                raise KeyboardInterrupt(here)

        with watch_lines(interrupt), pytest.raises(KeyboardInterrupt) as caught:
            learn()
        assert caught.value.args == (line,)
        for stream in cupy.streams.values():
            assert not stream.queue, f"work is left behind {line}"
            assert stream.recorded is None, f"a capture is left behind {line}"
        assert model.vector.tobytes() in (begin.tobytes(), learned)
    assert learn() == learned
