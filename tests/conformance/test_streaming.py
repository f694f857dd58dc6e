"""Every installed backend on stretches of sequences: each goes on from what the one before it carries."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import BACKENDS, assert_agreement, assert_close
from hypothesis import given
from hypothesis import strategies as st
from strategies import Case, cases

from graphbptt.backend import find_backend
from graphbptt.compiler import compile_network
from graphbptt.gradients import check_batch
from graphbptt.ir.batch import Batch, CarriedState
from graphbptt.model import Model
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.cut_batch import cut_batch
from graphbptt.reference import run_reference
from graphbptt.reference.forward import gather_history


def real(batch: Batch) -> np.ndarray:
    """Where sequences have not ended, (steps, batch)."""
    ends = np.full(batch.size, batch.steps) if batch.lengths is None else batch.lengths
    return np.arange(batch.steps)[:, None] < ends


@pytest.mark.parametrize("name", BACKENDS)
@given(case=cases(causal=True), data=st.data())
def test_stretches_agree_with_the_reference(name: str, case: Case, data: st.DataObject) -> None:
    """Derivatives within a stretch, whose targets may begin inside it, from states that were carried to it."""
    plan = compile_network(case.fold())
    executable = find_backend(name).build(plan, np.dtype(np.float64))
    vector = case.draw_vector(plan.layout.size)
    batch = bind_batch(plan.network, case.fields, case.steps, np.float64)
    start = data.draw(st.integers(0, case.steps - 1), "start")
    stop = data.draw(st.integers(start + 1, case.steps), "stop")
    wanted = data.draw(st.integers(start, stop - 1), "wanted")
    carried = None
    if start:
        before = run_reference(plan.network, plan.layout, vector, cut_batch(plan.network, batch, 0, start))
        carried = CarriedState(gather_history(before, start), start)
    stretch = cut_batch(plan.network, batch, start, stop, wanted, carried)
    assert_agreement(plan, executable, vector, stretch)
    forward = run_reference(plan.network, plan.layout, vector, stretch)
    executable.loss(vector, stretch)
    largest = max([1.0, *(float(np.abs(state).max(initial=0)) for state in forward.states.values())])
    for step in (0, 1, stop - start):
        found = executable.history(step)
        for node, rows in gather_history(forward, step).items():
            assert_close(found[node], rows, largest, f"history of {node} at {step}")
    # What was carried must not be left behind for a batch that starts anew.
    assert_agreement(plan, executable, vector, batch)


@pytest.mark.parametrize("name", [*BACKENDS, "reference"])
@given(case=cases(causal=True), data=st.data())
def test_pieces_are_the_whole_to_the_last_bit(name: str, case: Case, data: st.DataObject) -> None:
    model = Model(compile_network(case.fold()), name, "float64")
    model.vector[...] = case.draw_vector(model.vector.size)
    batch = model.bind(case.fields, case.steps)
    executable = find_backend(name).build(model.plan, np.dtype(np.float64))
    whole = {node: np.array(states) for node, states in executable.run(model.vector, batch).items()}
    length = data.draw(st.integers(1, case.steps), "length")
    carried: CarriedState | None = None
    for start in range(0, case.steps, length):
        stop = min(start + length, case.steps)
        piece = cut_batch(model.network, batch, start, stop, carried=carried)
        for node, states in executable.run(model.vector, piece).items():
            assert np.array_equal(states[real(piece)], whole[node][start:stop][real(piece)], equal_nan=True)
        carried = CarriedState(executable.history(stop - start), stop)


@pytest.mark.parametrize("name", [*BACKENDS, "reference"])
@given(case=cases(smooth=True, causal=True), data=st.data())
def test_carried_states_are_constants_to_differences(name: str, case: Case, data: st.DataObject) -> None:
    """The derivative by learned initial states is zero where these are not what a batch starts from."""
    model = Model(compile_network(case.fold()), name, "float64")
    model.vector[...] = case.draw_vector(model.vector.size)
    start = data.draw(st.integers(0, case.steps - 1), "start")
    batch = model.bind(case.fields, case.steps)
    if start:
        model.losses(cut_batch(model.network, batch, 0, start))
        batch = cut_batch(model.network, batch, start, case.steps, carried=model.carry(start, start))
    report = check_batch(model, batch, limit=1 if name == "reference" else 4)
    assert report.error < 1e-6, str(report)
