"""Updates on a device while the host prepares the next batch, with a CuPy that is the host's memory.

Work is done there as late as it may be: what is started runs when the host waits for it, so that all that the host
writes before that is seen by what should not see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import pytest
from host_cupy import HostCupy
from updating import build_model, draw_fields

import graphbptt
from graphbptt.backend import Outcome, Updater
from graphbptt.errors import DivergenceError
from graphbptt.ir.batch import Batch
from graphbptt.training import course
from graphbptt.training.loop import train
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.gpu import GpuDevice

SETTINGS = {"batch": 4, "seed": 1, "epochs": 4, "clip": 0.5}


def build(cupy: HostCupy, device: type[GpuDevice] = GpuDevice) -> graphbptt.Model:
    def make(plan: graphbptt.ir.plan.Plan, dtype: type[np.floating]) -> DeviceExecutable:
        return DeviceExecutable(plan, np.dtype(dtype), device(cupy, Numbers(np.dtype(dtype))))

    return build_model(make, penalty=True)


def update_in_turn(updater: Updater, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Outcome]]:
    """Each is done before the next one is prepared."""
    for batch in batches:
        updater.prepare(batch)
        updater.start()
        yield batch, updater.finish()


def test_the_course_is_to_the_bit_that_of_one_after_the_other(
    cupy: HostCupy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are of two sizes, and have noise, lengths and divisors of their own."""
    beside, in_turn = build(cupy), build(cupy)
    histories = [train(beside, draw_fields(11), **SETTINGS)]
    monkeypatch.setattr(course, "run_updates", update_in_turn)
    histories.append(train(in_turn, draw_fields(11), **SETTINGS))
    assert histories[0] == histories[1]
    assert beside.vector.tobytes() == in_turn.vector.tobytes()


def test_a_host_that_does_not_wait_for_its_copies_is_seen(cupy: HostCupy) -> None:
    """The next batch is written over the one that is still to be copied."""

    class Hasty(GpuDevice):
        def wait_copies(self) -> None:
            pass

    right, wrong = build(cupy), build(cupy, Hasty)
    for model in (right, wrong):
        train(model, draw_fields(12), **SETTINGS)
    assert np.isfinite(wrong.vector).all()
    assert not np.allclose(right.vector, wrong.vector, rtol=1e-3)


def test_an_epoch_waits_twice_for_each_batch(cupy: HostCupy) -> None:
    """For its copies and for its end; and once for what is loaded, and once for what is fetched."""
    model = build(cupy)
    waits = []
    for epochs in (3, 4):
        cupy.counts.clear()
        train(model, draw_fields(20), **SETTINGS | {"epochs": epochs})
        waits.append(cupy.counts["wait"])
    assert waits[1] - waits[0] == 2 * 5 + 2


@pytest.mark.parametrize("at", range(3))
def test_an_interrupt_leaves_no_work_behind(cupy: HostCupy, at: int) -> None:
    """And the model with the parameters of the last whole epoch."""

    class Interrupted(GpuDevice):
        def start(self, calls: Iterable[partial[object]]) -> None:
            started.append(None)
            super().start([*calls, interrupt] if len(started) == 4 + at else [*calls])

    def interrupt() -> None:
        raise KeyboardInterrupt

    started: list[None] = []
    model, whole = build(cupy, Interrupted), build(cupy)
    with pytest.raises(KeyboardInterrupt):
        train(model, draw_fields(11), **SETTINGS)
    assert not any(stream.queue for stream in cupy.streams.values())
    train(whole, draw_fields(11), **SETTINGS | {"epochs": 1})
    assert model.vector.tobytes() == whole.vector.tobytes()


def test_nothing_is_updated_behind_a_loss_that_is_not_finite(cupy: HostCupy) -> None:
    """The error is of the batch that it is, with the parameters that it had: what it says is what the host would."""
    messages = []
    for model in (build(cupy), build_model(None, penalty=True)):
        with pytest.raises(DivergenceError) as error:
            train(model, draw_fields(11), **SETTINGS | {"clip": None, "optimizer": {"sgd": {"rate": 1e200}}})
        messages.append(str(error.value))
    assert messages[0] == messages[1]
