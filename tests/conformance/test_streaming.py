"""Every installed backend on stretches of sequences: each goes on from what the one before it carries."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from agreement import BACKENDS, assert_agreement, assert_close
from hypothesis import given
from hypothesis import strategies as st
from strategies import Case, cases

import graphbptt
from graphbptt.backend import find_backend
from graphbptt.compiler import compile_network
from graphbptt.gradients import check_batch
from graphbptt.ir.batch import Batch, CarriedState
from graphbptt.ir.data import Clamp
from graphbptt.model import Model
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.cut_batch import cut_batch
from graphbptt.reference import run_reference
from graphbptt.reference.forward import gather_history

pytestmark = pytest.mark.usefixtures("hurried_compiler")


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


def field_at(case: Case, clamp: Clamp, name: str, step: int, shape: tuple[int, ...]) -> np.ndarray:
    """A field of a clamp at one step, (batch, units); what it holds where nothing uses it does not matter.

    A mask of two axes has a number per step where the clamp's values have a time axis.
    """
    values = np.nan_to_num(case.fields[name])
    timed = values.ndim == 3 or case.fields[clamp.field].ndim == 3
    values = values[:, step - 1] if timed else values
    return np.broadcast_to(values.reshape(len(values), -1), shape)


@pytest.mark.parametrize("name", [*BACKENDS, "reference"])
@given(case=cases(causal=True))
def test_steps_are_the_run_to_the_last_bit(name: str, case: Case) -> None:
    model = Model(compile_network(case.fold()), name, "float64")
    model.vector[...] = case.draw_vector(model.vector.size)
    batch = model.bind(case.fields, case.steps, targets=False)
    whole = model.run(case.fields, case.steps)
    for step in 2 * list(range(1, case.steps + 1)):
        if step == 1:
            model.reset()
        fields = {}
        for clamp in case.clamps:
            nodes = clamp.node if isinstance(clamp.node, tuple) else (clamp.node,)
            units = (
                sum(model.network.population[node].units for node in nodes)
                if clamp.units is None
                else len(clamp.units)
            )
            for field in filter(None, (clamp.field, clamp.mask)):
                at_start = clamp.at == "start"
                fields[field] = (
                    case.fields[field]
                    if at_start
                    else field_at(case, clamp, field, step, (batch.size, units))
                )
                if at_start and step > 1:
                    del fields[field]
        if step == 1 and not fields and batch.size > 1:
            model.state = CarriedState(first_rows(model, batch), 0)
        states = model.step(fields)
        inside = real(batch)[step - 1]
        for node, series in whole.items():
            assert np.array_equal(states[node][inside], series[inside, step - 1], equal_nan=True), (
                node,
                step,
            )


def first_rows(model: Model, batch: Batch) -> dict[str, np.ndarray]:
    """The initial states, where nothing else says for how many sequences."""
    return gather_history(run_reference(model.network, model.plan.layout, model.vector, batch), 0)


@pytest.mark.parametrize("name", [*BACKENDS, "reference"])
@pytest.mark.parametrize(("batch", "units"), [(1, 64), (1, 33), (2, 33), (3, 17), (32, 33), (5, 300)])
def test_steps_of_larger_networks(name: str, batch: int, units: int) -> None:
    """Sizes at which products round a row differently among more rows, where libraries take other ways."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", units=17)
    graph.add_node("h", units=units, activation="tanh")
    graph.add_node("c", units=units, activation="0.5 * c[t-1] + h * logistic(net)")
    graph.add_node("y", units=33, activation="softplus")
    graph.add_edges_from([("x", "h"), ("x", "c"), ("c", "y"), ("h", "c")], delay=0)
    graph.add_edges_from([("h", "h"), ("x", "y")], delay=2)
    model = graphbptt.compile(graph, [Clamp("x", "x")], backend=name, dtype="float64")
    steps = 40 if name == "numpy" else 6
    x = np.random.default_rng(0).normal(size=(batch, steps, 17))
    whole = model.run({"x": x})
    for step in range(steps):
        states = model.step({"x": x[:, step]})
        assert all(np.array_equal(states[node], series[:, step]) for node, series in whole.items()), step
