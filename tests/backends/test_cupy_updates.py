"""Updates on a device while the host prepares the next batch, with a CuPy that is the host's memory.

Work is done there as late as it may be: what is started runs when the host waits for it, so that all that the host
writes before that is seen by what should not see it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
from host_cupy import HostCupy
from host_gpu import build as build_executable
from named_networks import NETWORKS
from named_networks import draw_fields as draw
from updating import assert_same_course, build_model, draw_fields

import graphbptt
from graphbptt.backend import Outcome, Updater
from graphbptt.compiler import compile_network
from graphbptt.declaration.choices import OptimizerChoice
from graphbptt.errors import BackendError, DivergenceError
from graphbptt.ir.batch import Batch
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.ir.layout import draw_parameters
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.training import course
from graphbptt.training.loop import Epoch, train
from graphbptt.training.optimizers import make_rule
from graphbptt.training.run_updates import run_updates
from graphbptt_cupy.blas import Numbers
from graphbptt_cupy.executable import DeviceExecutable
from graphbptt_cupy.gpu import GpuDevice

SETTINGS = {"batch": 4, "seed": 1, "epochs": 4, "clip": 0.5}


def build(cupy: HostCupy, device: type[GpuDevice] = GpuDevice, noise: float = 0.01) -> graphbptt.Model:
    def make(plan: graphbptt.ir.plan.Plan, dtype: type[np.floating]) -> DeviceExecutable:
        return DeviceExecutable(plan, np.dtype(dtype), device(cupy, Numbers(np.dtype(dtype))))

    return build_model(make, penalty=True, noise=noise)


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
    """For the copies of the one before, if there is one, and for its end; and once for what is fetched."""
    model = build(cupy)
    waits = []
    for epochs in (3, 4):
        cupy.counts.clear()
        train(model, draw_fields(20), **SETTINGS | {"epochs": epochs})
        waits.append(cupy.counts["wait"])
    assert waits[1] - waits[0] == 2 * 5 - 1 + 1


def count_epoch(cupy: HostCupy, model: graphbptt.Model, **settings: Any) -> Counter[str]:
    """What one more epoch takes."""
    counts = []
    for epochs in (3, 4):
        cupy.counts.clear()
        train(model, draw_fields(4), **SETTINGS | {"epochs": epochs} | settings)
        counts.append(Counter(cupy.counts))
    return counts[1] - counts[0]


@pytest.mark.parametrize(("noise", "copies"), [(0.0, 3), (0.01, 5)])
def test_an_epoch_of_one_batch_copies_what_has_changed(cupy: HostCupy, noise: float, copies: int) -> None:
    """Neither the parameters, which are there, nor a batch that is, as all of it is without noise. What comes back is
    what became of the update, and the parameters after it and before it."""
    counts = count_epoch(cupy, build(cupy, noise=noise))
    assert counts == {"copy": copies, "graph": 2, "wait": 2}


@pytest.mark.parametrize("network", NETWORKS)
def test_a_batch_that_is_there_is_as_good_as_one_that_is_brought(
    cupy: HostCupy, network: Callable[[], FoldedNetwork]
) -> None:
    """To the last bit, whatever updates leave of it."""
    plan = compile_network(network())
    executable = build_executable(cupy, plan)
    left = []
    for number in (1, 4):
        batches = [bind_batch(plan.network, draw(3, 6, padded=True), 6, np.float64) for _ in range(number)]
        updater = executable.bind_update(make_rule(OptimizerChoice(adam={"rate": 0.1})), None)
        updater.load(draw_parameters(plan.network, plan.layout, 1, np.dtype(np.float64)))
        outcomes = [outcome for _, outcome in run_updates(updater, (batches * 4)[:4])]
        assert all(outcome.finite for outcome in outcomes)
        parameters, previous = (np.empty(plan.layout.free) for _ in range(2))
        updater.fetch(parameters, previous)
        left.append((parameters.tobytes(), previous.tobytes(), [outcome.norm for outcome in outcomes]))
    assert left[0] == left[1]


def test_validation_runs_with_the_parameters_that_are_there(cupy: HostCupy) -> None:
    """A batch of two transfers goes up, and its losses come back."""
    alone, both = (
        count_epoch(cupy, build(cupy), validation=validation) for validation in (None, draw_fields(4, seed=1))
    )
    assert both - alone == {"copy": 3, "graph": 2, "wait": 1}


def test_parameters_that_change_between_epochs_are_those_that_train(cupy: HostCupy) -> None:
    """By hand, and to the last bit: what is there is not taken for what is wanted."""

    def shift(model: graphbptt.Model, _: Epoch) -> None:
        model.run(draw_fields(2))
        model.vector[...] += 0.125

    models = [build(cupy), build_model(None, penalty=True)]
    histories = [train(model, draw_fields(4), **SETTINGS, report=partial(shift, model)) for model in models]
    assert_same_course(models[::-1], histories[::-1])


def test_steps_go_on_with_the_parameters_that_training_has_left(cupy: HostCupy) -> None:
    """They have had memory of their own since before it."""
    models = [build(cupy, noise=0.0), build_model(None, penalty=True, noise=0.0)]
    states = []
    for model in models:
        for _ in range(2):
            model.step({"x": np.ones((2, 2))})
            train(model, draw_fields(4), **SETTINGS)
        states.append(model.step({"x": np.ones((2, 2))})["y"])
    np.testing.assert_allclose(*states, rtol=1e-8)


def test_an_optimizer_is_not_changed_by_another_training(cupy: HostCupy) -> None:
    model = build(cupy)
    with pytest.raises(BackendError, match=r"another training of this model has begun.* copy\.copy\(model\)"):
        train(
            model,
            draw_fields(8),
            **SETTINGS,
            report=lambda _: train(model, draw_fields(4), epochs=1) and None,
        )
    train(
        model,
        draw_fields(8),
        **SETTINGS,
        report=lambda _: train(copy(model), draw_fields(4), epochs=1) and None,
    )


def test_nothing_else_begins_while_an_update_runs(cupy: HostCupy) -> None:
    """Its batch could be overwritten, and its outcome taken for another one."""
    model = build(cupy)
    updater = model.bind_update(make_rule(OptimizerChoice(adam={})), 1.0)
    assert updater is not None
    batch = model.bind(draw_fields(4))
    updater.load(model.vector)
    updater.prepare(batch)
    updater.start()
    with pytest.raises(AssertionError, match="still running"):
        model.losses(batch)
    updater.prepare(batch)
    with pytest.raises(AssertionError, match="still running"):
        updater.start()
    updater.settle()
    assert np.isfinite(model.losses(batch)).all()


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


def test_a_batch_is_brought_again_behind_one_that_was_cut_short(cupy: HostCupy) -> None:
    """Which of the two then lies on the device is not known."""

    class Interrupted(GpuDevice):
        def start(self, calls: Iterable[partial[object]]) -> None:
            started.append(None)
            super().start([*calls, interrupt] if len(started) == 2 else [*calls])

    def interrupt() -> None:
        raise KeyboardInterrupt

    started: list[None] = []
    model = build(cupy, Interrupted, noise=0)
    updater = model.bind_update(make_rule(OptimizerChoice(sgd={"rate": 1e-9})), None)
    assert updater is not None
    first, second = (
        model.bind({name: field[begin:][:2] for name, field in draw_fields(4).items()}) for begin in (0, 2)
    )
    updater.load(model.vector)
    ((_, before),) = run_updates(updater, [first])
    updater.prepare(second)
    with pytest.raises(KeyboardInterrupt):
        updater.start()
    ((_, after),) = run_updates(updater, [first])
    np.testing.assert_allclose(after.losses, before.losses, rtol=1e-5)


def test_nothing_is_updated_behind_a_loss_that_is_not_finite(cupy: HostCupy) -> None:
    """The error is of the batch that it is, with the parameters that it had: what it says is what the host would."""
    messages = []
    for model in (build(cupy), build_model(None, penalty=True)):
        with pytest.raises(DivergenceError) as error:
            train(model, draw_fields(11), **SETTINGS | {"clip": None, "optimizer": {"sgd": {"rate": 1e200}}})
        messages.append(str(error.value))
    assert messages[0] == messages[1]
