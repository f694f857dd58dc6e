"""A batch split between cores: the same numbers to the last bit, in any number of parts, in a fork too."""

from __future__ import annotations

import os
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from compiled import NOWHERE, toolchain
from named_networks import NETWORKS, draw_fields

from graphbptt.compiler import compile_network
from graphbptt.ir.layout import draw_parameters
from graphbptt.passes.bind_batch import bind_batch
from graphbptt_native import threads
from graphbptt_native.contraction import bind_sum
from graphbptt_native.executable import NativeExecutable
from graphbptt_native.threads import count_cores, run_together, split_examples

PLAN = compile_network(NETWORKS[1]())
VECTOR = draw_parameters(PLAN.network, PLAN.layout, 1, np.float64)
FIELDS = {
    name: field
    for name, field in draw_fields(37, 11, padded=True).items()
    if name in ("x", "label", "lengths")
}


def compute(cores: int) -> tuple[np.ndarray, ...]:
    executable = NativeExecutable(PLAN, np.dtype(np.float64), toolchain(), NOWHERE, cores)
    batch = bind_batch(PLAN.network, FIELDS, 11, np.float64)
    gradient = np.zeros(PLAN.layout.free)
    losses = executable.loss_and_gradient(VECTOR, batch, gradient)
    return losses, gradient, *map(np.array, executable.run(VECTOR, batch).values())


@pytest.mark.parametrize("cores", [2, 3, 6, 100])
def test_parts_are_the_whole_to_the_last_bit(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    monkeypatch.setattr(threads, "FLOPS_WORTH_A_THREAD", 1.0)
    monkeypatch.setattr(
        threads,
        "run_together",
        lambda calls: (counts.append(len(calls)), run_together(calls)),
    )
    for one, other in zip(compute(1), compute(cores), strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(counts) == {min(cores, 37 // threads.FEWEST_EXAMPLES)}


@pytest.mark.parametrize("size", [0, 1, 5, 6, 11, 12, 64, 127])
@pytest.mark.parametrize("cores", [1, 2, 7, 64])
def test_every_example_is_in_one_part(size: int, cores: int) -> None:
    parts = split_examples(size, 1e12, cores)
    assert [example for begin, end in parts for example in range(begin, end)] == list(range(size))
    assert len(parts) <= cores
    assert len(parts) == 1 or min(end - begin for begin, end in parts) >= threads.FEWEST_EXAMPLES


def test_small_work_is_not_split() -> None:
    assert split_examples(64, 100.0, 8) == [(0, 64)]


@pytest.mark.parametrize("value", ["", "0", "-3", "many", "4 cores"])
def test_what_is_no_number_of_threads(value: str) -> None:
    assert count_cores({"OMP_NUM_THREADS": value}) == count_cores({})


def test_number_of_threads_is_a_limit() -> None:
    assert count_cores({"OMP_NUM_THREADS": "1,4"}) == 1
    assert count_cores({"OMP_NUM_THREADS": "100000"}) == count_cores({}) >= 1


def test_failure_in_a_thread_is_raised() -> None:
    def fail() -> None:
        raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        run_together([lambda: None, fail])


def test_interrupted_call_waits_for_the_others() -> None:
    ended = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    def last() -> None:
        time.sleep(0.1)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        run_together([interrupt, last])
    assert ended


def test_a_call_keeps_the_memory_whose_address_it_has() -> None:
    series = np.zeros((2, 3))
    held = weakref.ref(series)
    call = bind_sum(print, series, np.zeros(3))
    del series
    assert held() is not None
    del call
    assert held() is None


def test_a_scan_keeps_the_arrays_of_its_arguments() -> None:
    program = NativeExecutable(PLAN, np.dtype(np.float64), toolchain(), NOWHERE, 1)._program
    arrays = [np.zeros(3)]
    held = weakref.ref(arrays[0])
    call = program.bind_scan(next(iter(program.scans.values())), 1, 1, 1, lambda part, rows: arrays)
    arrays.clear()
    assert held() is not None
    del call
    assert held() is None


def test_fork_has_threads_of_its_own() -> None:
    """Those of its parent are not there: to wait for them would be for ever."""
    run_together([lambda: None, lambda: None])
    assert threads._threads(os.getpid()) is threads._threads(os.getpid())
    other = threads._threads(-1)
    assert isinstance(other, ThreadPoolExecutor)
    assert other is not threads._threads(os.getpid())
