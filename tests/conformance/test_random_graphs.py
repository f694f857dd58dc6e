"""Every installed backend against the reference executor and against differences, on random graphs."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import BACKENDS, assert_agreement, assert_single_agreement
from hypothesis import assume, example, given
from padding import BEYOND, RUNAWAY, assert_padding_reaches_nothing
from strategies import Case, cases

from graphbptt.backend import find_backend
from graphbptt.compiler import compile_network
from graphbptt.gradients import check_gradients
from graphbptt.model import Model
from graphbptt.passes.bind_batch import bind_batch

pytestmark = pytest.mark.usefixtures("hurried_compiler")


@pytest.mark.parametrize("name", BACKENDS)
@given(case=cases())
def test_agrees_with_the_reference(name: str, case: Case) -> None:
    plan = compile_network(case.fold())
    executable = find_backend(name).build(plan, np.dtype(np.float64))
    vector = case.draw_vector(plan.layout.size)
    assert_agreement(plan, executable, vector, bind_batch(plan.network, case.fields, case.steps, np.float64))


@pytest.mark.parametrize("name", BACKENDS)
@given(case=cases(smooth=True))
def test_single_precision(name: str, case: Case) -> None:
    """At a kink or a step, two right executors that round differently may come to lie on either side."""
    plan = compile_network(case.fold())
    executable = find_backend(name).build(plan, np.dtype(np.float32))
    vector = case.draw_vector(plan.layout.size)
    assert_single_agreement(plan, executable, vector, case.fields, case.steps)


@pytest.mark.parametrize("name", BACKENDS)
@given(case=cases())
def test_constraints_change_neither_states_nor_derivatives(name: str, case: Case) -> None:
    """Those that are ties written in another way aside."""
    constrained = case.fold()
    assume(constrained.constraints)
    case.graph.graph["constraints"] = []
    free = case.fold()
    assume(constrained.groups == free.groups)
    results = []
    for network in (constrained, free):
        plan = compile_network(network)
        vector = case.draw_vector(plan.layout.size)
        gradient = np.zeros(plan.layout.free)
        executable = find_backend(name).build(plan, np.dtype(np.float64))
        batch = bind_batch(network, case.fields, case.steps, np.float64)
        losses = executable.loss_and_gradient(vector, batch, gradient)
        results.append([losses, gradient, *executable.run(vector, batch).values()])
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("name", BACKENDS)
@given(case=cases(causal=True, beyond=BEYOND))
@example(case=RUNAWAY)
def test_what_overflows_behind_the_ends_reaches_nothing(name: str, case: Case) -> None:
    plan = compile_network(case.fold())
    assert_padding_reaches_nothing(plan, find_backend(name).build(plan, np.dtype(np.float64)), case)


@pytest.mark.parametrize("name", [*BACKENDS, "reference"])
@given(case=cases(smooth=True))
def test_agrees_with_differences(name: str, case: Case) -> None:
    model = Model(compile_network(case.fold()), name, "float64")
    model.vector[...] = case.draw_vector(model.vector.size)
    report = check_gradients(model, case.fields, case.steps, limit=1 if name == "reference" else 4)
    assert report.error < 1e-6, str(report)
