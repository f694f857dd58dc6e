"""What the cupy backend records, and launches as graphs, with a CuPy that is the host's memory."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from host_cublas import HostCublas
from host_cupy import HostCupy, HostRuntimeError
from host_gpu import DOUBLE, bind, build, derive
from host_streams import HostGraph, HostStream
from named_networks import NETWORKS

from graphbptt.backend import log_once
from graphbptt_cupy.blas import Blas, Numbers
from graphbptt_cupy.capture import MOST_TRIES, Repetition, undisturbed
from graphbptt_cupy.cublas import ALIGNMENT


def test_captured_equals_plain_bit_for_bit(cupy: HostCupy) -> None:
    plan, vector, batch = bind(NETWORKS[1])
    plain, captured = (build(cupy, plan, captured) for captured in (False, True))
    for change in (0.0, 0.1, 0.2, 0.3):
        assert derive(captured, plan, vector + change, batch) == derive(plain, plan, vector + change, batch)


def test_what_was_captured_is_launched_as_graphs_alone(small_cupy: HostCupy) -> None:
    """No kernel or product by a call of its own, no memory, and one wait for all that comes down at once.

    What is wanted goes up while the first of two graphs runs.
    """
    counts = count_calls(small_cupy, 40, 4)
    assert counts[0]["launch"] > 40
    assert counts[0]["multiply"] > 40
    assert counts[2] == counts[3]
    assert counts[2].keys() == {"graph", "copy", "wait"}
    assert (counts[2]["graph"], counts[2]["wait"]) == (2, 1)


def test_scans_whose_weights_have_room_are_a_launch_each(cupy: HostCupy) -> None:
    """As many for long sequences as for short ones."""
    (short,), (long,) = (count_calls(cupy, steps, 1) for steps in (4, 40))
    assert long == short
    assert long["launch"] < 40


def count_calls(cupy: HostCupy, steps: int, times: int) -> list[dict[str, int]]:
    """What is called for the same derivatives of an LSTM, time after time."""
    plan, vector, batch = bind(NETWORKS[1], steps)
    executable = build(cupy, plan)
    gradient = np.empty(plan.layout.free)
    counts = []
    for _ in range(times):
        cupy.counts.clear()
        executable.loss_and_gradient(vector, batch, gradient)
        counts.append(dict(cupy.counts))
    return counts


def test_long_sequences_are_several_graphs(cupy: HostCupy) -> None:
    done: list[int] = []
    stream = cupy.cuda.Stream(non_blocking=True)
    calls = [(lambda number=number: cupy.start("launch", lambda: done.append(number))) for number in range(7)]
    repetition = Repetition(calls, stream, most=3)
    with stream:
        for _ in range(3):
            repetition()
        stream.synchronize()
    assert done == [*range(7)] * 3
    assert cupy.counts == {"launch": 7, "graph": 6, "wait": 1}


def test_calls_are_let_go_when_they_are_recorded(cupy: HostCupy) -> None:
    """Thousands of them, with all their arguments, are of no use beside the graphs."""
    stream = cupy.cuda.Stream(non_blocking=True)
    done: list[int] = []
    calls = [partial(cupy.start, "launch", partial(done.append, number)) for number in range(7)]
    alive = [weakref.ref(call) for call in calls]
    repetition = Repetition(calls, stream, most=3)
    del calls
    with stream:
        repetition()
        assert all(call() for call in alive)
        repetition()
        assert not any(call() for call in alive)
        repetition()
        stream.synchronize()
    assert done == [*range(7)] * 3


def test_a_stream_is_not_left_captured(cupy: HostCupy) -> None:
    stream = cupy.cuda.Stream(non_blocking=True)
    runs: list[None] = []

    def fail_later() -> None:
        runs.append(None)
        if len(runs) > 1:
            raise MemoryError

    repetition = Repetition([fail_later], stream)
    with stream:
        repetition()
        with pytest.raises(MemoryError):
            repetition()
    assert stream.recorded is None


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[int], None]:
    """Lets so many captures fail from now on, as where another library waits for the device meanwhile."""
    left = 0
    end_capture = HostStream.end_capture

    def end(stream: HostStream) -> HostGraph:
        nonlocal left
        graph = end_capture(stream)
        left -= 1
        if left >= 0:
            raise HostRuntimeError(
                "cudaErrorStreamCaptureInvalidated: operation failed due to a previous error"
            )
        return graph

    def fail(times: int) -> None:
        nonlocal left
        left = times

    log_once.cache_clear()
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(HostStream, "end_capture", end)
    return fail


@pytest.mark.parametrize(("times", "graphs"), [(1, 2), (MOST_TRIES, 0)])
def test_what_cannot_be_recorded_is_started_call_by_call(
    cupy: HostCupy, failing: Callable[[int], None], caplog: pytest.LogCaptureFixture, times: int, graphs: int
) -> None:
    """It is recorded the next time, but not tried for ever; a line says so."""
    done: list[int] = []
    stream = cupy.cuda.Stream(non_blocking=True)
    repetition = Repetition([lambda: cupy.start("launch", lambda: done.append(1))], stream)
    failing(times)
    with stream:
        for _ in range(1 + times + 2):
            repetition()
        stream.synchronize()
    assert len(done) == 1 + times + 2
    assert cupy.counts["graph"] == graphs
    assert len(caplog.messages) == 1
    assert (
        "call by call, which takes longer than as a graph: cudaErrorStreamCaptureInvalidated" in caplog.text
    )


def test_nothing_is_destroyed_while_a_stream_is_captured() -> None:
    """To destroy a handle of cuBLAS is to wait for the device."""
    library = HostCublas()
    found, dropped = ([Blas(library, Numbers(DOUBLE), ALIGNMENT, 1, 1)] for _ in range(2))
    found.append(found)  # type: ignore[arg-type]
    thread = threading.Thread(target=dropped.clear)
    with undisturbed():
        del found
        thread.start()
        _ = [[] for _ in range(100_000)]
        thread.join(0.05)
        assert "cublasDestroy_v2" not in library.calls
    thread.join()
    assert "cublasDestroy_v2" in library.calls
    assert gc.isenabled()
    gc.collect()
    assert library.calls.count("cublasDestroy_v2") == 2
