"""Random constraints and signs over random networks hold after updates by every optimizer, and change no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from random_constraints import constrain, sign_edges
from strategies import Case, cases

import graphbptt
from graphbptt.errors import DivergenceError
from graphbptt.training.dataset import Dataset

OPTIMIZERS: list[dict[str, Any]] = [
    {"sgd": {"rate": 0.02, "momentum": 0.9}},
    {"sgd": {"rate": 0.02, "momentum": 0.9, "nesterov": True}},
    {"rmsprop": {"rate": 0.01}},
    {"adam": {"rate": 0.02}},
    {"adamw": {"rate": 0.02, "weight_decay": 0.3}},
]
EXACT = {"float32": 1e-6, "float64": 1e-12}


def compile_case(case: Case, dtype: str) -> graphbptt.Model:
    return graphbptt.compile(
        case.graph, case.clamps, case.targets, backend="numpy", dtype=dtype, seed=case.seed
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda choice: "-".join(map(str, *choice.values())))
@given(case=cases(), dtype=st.sampled_from(sorted(EXACT)), data=st.data())
def test_constraints_and_signs_hold(
    optimizer: dict[str, Any], case: Case, dtype: str, data: st.DataObject
) -> None:
    data.draw(sign_edges(case.graph))
    case.graph.graph["constraints"] = data.draw(constrain(case.graph, case.seed))
    model = compile_case(case, dtype)
    projection = model.plan.projection
    bound = model.bind(case.fields, case.steps)
    assume(projection is not None and sum(target.count for target in bound.targets))
    before = model.vector.copy()
    examples = Dataset(case.fields, case.steps)
    try:
        graphbptt.train(model, examples, optimizer=optimizer, epochs=6, batch=2, clip=1.0)
    except DivergenceError:
        assume(False)
    assert projection is not None
    if projection.constraints:
        scale = max(1.0, float(np.abs(projection.right).max()), float(np.abs(model.vector).max()))
        assert np.abs(projection.measure(model.vector)).max() < EXACT[dtype] * scale
    signed = model.vector[: projection.free] * projection.signs
    assert signed.min(initial=0) >= 0
    np.testing.assert_array_equal(model.vector[projection.free :], before[projection.free :])


@given(case=cases(), data=st.data())
def test_constraints_and_signs_change_no_derivative(case: Case, data: st.DataObject) -> None:
    free = compile_case(case, "float64")
    data.draw(sign_edges(case.graph))
    case.graph.graph["constraints"] = data.draw(constrain(case.graph, case.seed))
    kept = compile_case(case, "float64")
    kept.vector[...] = free.vector
    losses = [model.loss_and_gradients(case.fields, case.steps) for model in (free, kept)]
    assert losses[0][0] == losses[1][0]
    for name, gradient in losses[0][1].items():
        np.testing.assert_array_equal(gradient, losses[1][1][name])
