"""Training with parameters that stay on the device: the same course as with those of the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from audited_device import AuditedDevice
from loopback import VerifiedExecutable, build
from updating import OPTIMIZERS, assert_same_course, build_model, draw_fields, train_both

from graphbptt.backend import Updating
from graphbptt.errors import DivergenceError
from graphbptt.training.loop import train
from graphbptt_cupy.executable import DeviceExecutable


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda choice: next(iter(choice)))
@pytest.mark.parametrize("chosen", ["training", "validation"])
def test_the_course_is_that_of_the_host(
    optimizer: dict[str, Any], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over batches of several shapes, with and without validation; no gradient comes down."""
    monkeypatch.setattr(DeviceExecutable, "loss_and_gradient", None)
    validation = draw_fields(5, seed=1) if chosen == "validation" else None
    assert_same_course(*train_both(build, optimizer=optimizer, epochs=6, clip=0.5, validation=validation))


def test_penalties_on_parameters() -> None:
    models, histories = train_both(build, penalty=True, epochs=4)
    assert models[0].penalties()
    assert_same_course(models, histories)


def test_one_model_is_trained_again_from_the_start_of_its_optimizer() -> None:
    models, _ = train_both(build, epochs=2)
    assert_same_course(models, [train(model, draw_fields(11), seed=2, batch=4, epochs=2) for model in models])


@pytest.mark.parametrize("settings", [{"truncate": {"steps": 3}}, {"stateful": True, "batch": 11}])
def test_what_goes_on_from_states_is_updated_by_the_host(settings: dict[str, Any]) -> None:
    assert_same_course(*train_both(build, epochs=2, **settings))


def test_signs_are_kept_by_the_host() -> None:
    model = build_model(build, sign="excitatory")
    assert isinstance(model._executable, Updating)
    train(model, draw_fields(11), seed=1, batch=4, epochs=2, optimizer={"sgd": {"rate": 1.0}})
    assert (model.parameters["x->h"] >= 0).all()


@pytest.mark.parametrize("rate", [1e10, 1e200])
def test_divergence_is_explained_as_on_the_host(rate: float) -> None:
    messages = []
    for kind in (None, build):
        model = build_model(kind)
        with pytest.raises(DivergenceError) as caught:
            train(model, draw_fields(11), seed=1, batch=4, epochs=400, optimizer={"sgd": {"rate": rate}})
        messages.append(str(caught.value))
        assert np.isfinite(model.vector).all()
    assert messages[0] == messages[1]


def test_kernels_read_and_write_what_their_launches_say() -> None:
    device = AuditedDevice()
    model = build_model(lambda plan, dtype: VerifiedExecutable(plan, np.dtype(dtype), device), penalty=True)
    train(model, draw_fields(4), seed=1, batch=4, epochs=2, clip=0.5)
    assert {"penalize_0", "penalize_1", "measure_gradient", "update_parameters"} <= device.audited
