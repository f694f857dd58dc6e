"""Random constraints and signs over random networks hold after updates by every optimizer, and change no derivative."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_constraints import constrain, sign_edges
from strategies import Case, cases

import graphbptt
from graphbptt.declaration.cells.table import SHIPPED
from graphbptt.errors import DivergenceError, SpecError
from graphbptt.keeper import nearest
from graphbptt.training.dataset import Dataset

OPTIMIZERS: list[dict[str, Any]] = [
    {"sgd": {"rate": 0.02, "momentum": 0.9}},
    {"sgd": {"rate": 0.02, "momentum": 0.9, "nesterov": True}},
    {"rmsprop": {"rate": 0.01}},
    {"adam": {"rate": 0.02}},
    {"adamw": {"rate": 0.02, "weight_decay": 0.3}},
]
CELLS = {"clockwork": {"clockwork": {"periods": [1, 2, 4]}}}
"""How cells are written that need an option."""

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
    case.graph.graph.pop("constraints", None)  # those that are drawn here take their place
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
    case.graph.graph.pop("constraints", None)  # those that are drawn here take their place
    free = compile_case(case, "float64")
    data.draw(sign_edges(case.graph))
    case.graph.graph["constraints"] = data.draw(constrain(case.graph, case.seed))
    kept = compile_case(case, "float64")
    kept.vector[...] = free.vector
    losses = [model.loss_and_gradients(case.fields, case.steps) for model in (free, kept)]
    assert losses[0][0] == losses[1][0]
    for name, gradient in losses[0][1].items():
        np.testing.assert_array_equal(gradient, losses[1][1][name])


@pytest.mark.parametrize("cell", sorted(SHIPPED))
@given(data=st.data(), seed=st.integers(0, 1000))
@settings(max_examples=4)
def test_they_hold_inside_cells(cell: str, data: st.DataObject, seed: int) -> None:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_node("x", units=2)
    graph.add_node("h", units=3, cell=CELLS.get(cell, cell), sign="excitatory")
    graph.add_edge("x", "h")
    graph.add_edge("h", "y", delay=0)
    graph.graph["constraints"] = data.draw(constrain(graph, seed))
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    model = graphbptt.compile(graph, inputs, targets, backend="numpy", dtype="float64", seed=seed)
    rng = np.random.default_rng(seed)
    fields = {"x": rng.normal(size=(4, 5, 2)), "y": rng.normal(size=(4, 5, 1))}
    graphbptt.train(model, fields, optimizer={"adam": {"rate": 0.02}}, epochs=10, batch=2)
    projection = model.plan.projection
    assert projection is not None
    assert np.abs(projection.measure(model.vector)).max() < 1e-11
    assert (model.vector[: projection.free] * projection.signs).min() >= 0
    assert projection.signs.any()


def test_what_is_not_kept_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(constraints=["sum(x->y) == 1"])
    graph.add_node("x", units=2, sign="excitatory")
    graph.add_edge("x", "y", delay=0)
    model = graphbptt.compile(
        graph, [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")], backend="numpy", dtype="float64"
    )
    fields = {"x": np.array([[[1.0, -1.0]]]), "y": np.array([[[9.0]]])}
    before = model.vector.copy()
    monkeypatch.setattr(nearest, "NEWTON_STEPS", 0)
    with pytest.raises(SpecError, match=r"constraint sum\(x->y\) == 1: .* no nearest values were found"):
        graphbptt.train(model, fields, optimizer={"sgd": {"rate": 10.0}}, epochs=1)
    np.testing.assert_array_equal(model.vector, before)
