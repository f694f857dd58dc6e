"""What losses on probabilities and rates say of states that are data."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt import Clamp, Target
from graphbptt.errors import DataError, SpecError

BATCH, STEPS = 2, 4


def compile_clamped(activation: str, clamps: list[Clamp], loss: str, **said: Any) -> graphbptt.Model:
    graph: nx.DiGraph[str] = nx.DiGraph([("x", "p")])
    graph.add_node("p", units=3, activation=activation)
    return graphbptt.compile(graph, [Clamp("x", "x"), *clamps], [Target("p", "y", loss, **said)], "numpy")


def measure(model: graphbptt.Model, **fields: Any) -> float:
    labels = model.plan.network.targets[0].loss_name == "cross_entropy"
    y = np.zeros((BATCH, STEPS) if labels else (BATCH, STEPS, 3), np.int64 if labels else np.float64)
    return model.loss_and_gradients({"x": np.ones((BATCH, STEPS, 1)), "y": y, **fields})[0]


def states(value: float, at: tuple[int, int, int] = (1, 2, 1)) -> np.ndarray:
    """Of example 1 at step 3 the state of unit 1 is that value; all others are 0.2."""
    values = np.full((BATCH, STEPS, 3), 0.2)
    values[at] = value
    return values


@pytest.mark.parametrize(
    ("clamps", "said"),
    [
        ([Clamp("p", "c", units=(0,))], {}),
        ([Clamp("p", "c", units=(0,))], {"at": "last"}),
        ([Clamp("p", "c", units=(0, 2), at=(2,))], {}),
        ([Clamp("p", "c", units=(0, 2), at=(2, 3))], {"at": (1, 3)}),
        ([Clamp("p", "c", units=(0,)), Clamp("p", "d", units=(2,), at=(1,))], {"units": (0, 1)}),
        ([Clamp("p", "c", units=(0,), at=(1, 2)), Clamp("p", "d", units=(1, 2), at=(1,))], {}),
    ],
)
def test_cross_entropy_refuses_a_softmax_of_which_some_units_are_set(
    clamps: list[Clamp], said: dict[str, Any]
) -> None:
    with pytest.raises(SpecError) as caught:
        compile_clamped("softmax", clamps, "cross_entropy", **said)
    (problem,) = caught.value.problems
    assert problem.path == "target p"
    assert "the clamp from field c sets some of these units and leaves [" in problem.what
    assert "clamp all of its units or none" in problem.instead


@pytest.mark.parametrize(
    ("activation", "clamps", "said"),
    [
        ("softmax", [Clamp("p", "c", units=(0,), at="start")], {}),
        ("softmax", [Clamp("p", "c", at=(1, 2))], {}),
        ("softmax", [Clamp("p", "c", units=(0,), at=(1, 2))], {"at": (3, 4)}),
        ("softmax", [Clamp("p", "c", units=(0,), at=(2,)), Clamp("p", "c2", units=(1, 2), at=(2,))], {}),
        ("softmax", [Clamp("p", "c", units=(0,))], {"units": (1, 2)}),
        ("identity", [Clamp("p", "c", units=(0,))], {}),
        ("softmax", [Clamp("p", "c", units=(0,), mask="m")], {}),
        ("softmax", [Clamp("p", "c", units=(0,))], {"mask": "m"}),
    ],
)
def test_other_clamps_are_its_own_affair(activation: str, clamps: list[Clamp], said: dict[str, Any]) -> None:
    assert compile_clamped(activation, clamps, "cross_entropy", **said).plan.network.targets


def test_where_masks_choose_units_the_data_are_asked() -> None:
    model = compile_clamped("softmax", [Clamp("p", "c", mask="m")], "cross_entropy", at=(2, 3))
    mask = np.zeros((BATCH, STEPS, 3))
    mask[0, 0] = 1, 0, 0  # no target
    mask[1, 1] = 1, 1, 1  # all units
    assert np.isfinite(measure(model, c=states(0.2), m=mask))
    mask[1, 2] = 1, 0, 1
    with pytest.raises(DataError) as caught:
        measure(model, c=states(0.2), m=mask)
    (problem,) = caught.value.problems
    assert problem.path == "target of p"
    assert "clamps set some and leave others to be computed at example 1, step 3" in problem.what
    assert "let masks set all of them there, or none" in problem.instead


@pytest.mark.parametrize(
    ("activation", "loss", "wrong", "bounds"),
    [
        ("softmax", "cross_entropy", -1.0, "0 to 1"),
        ("softmax", "cross_entropy", 1.5, "0 to 1"),
        ("logistic", "binary_cross_entropy", -1.0, "0 to 1"),
        ("net * net", "binary_cross_entropy", 1.5, "0 to 1"),
        ("softplus", "poisson", -1.0, "0 to inf"),
        ("exp", "poisson", -1.0, "0 to inf"),
    ],
)
def test_a_loss_refuses_clamped_states_that_it_is_not_defined_for(
    activation: str, loss: str, wrong: float, bounds: str
) -> None:
    model = compile_clamped(activation, [Clamp("p", "c", at=(2, 3))], loss)
    with pytest.raises(DataError) as caught:
        measure(model, c=states(wrong))
    (problem,) = caught.value.problems
    assert problem.path == "field c"
    assert problem.what == f"{wrong} at example 1, step 3, unit 1"
    assert (
        f"the target of p reads these states, and {loss} is defined for those from {bounds};"
        in problem.instead
    )
    assert np.isfinite(measure(model, c=states(0.2)))
    assert np.isfinite(measure(model, c=states(wrong, at=(1, 0, 1))))  # a step that is not clamped
    model.run({"x": np.ones((BATCH, STEPS, 1)), "c": states(wrong)})


@pytest.mark.parametrize(
    ("clamp", "said"),
    [
        (Clamp("p", "c", at=(2, 3)), {"at": (1, 2)}),
        (Clamp("p", "c", at=(2, 3)), {"mask": "weight"}),
        (Clamp("p", "c", at=(2, 3), mask="free"), {}),
        (Clamp("p", "c", at=(2, 3)), {"at": "last"}),
        (Clamp("p", "c", units=(2, 1), at=(2, 3)), {"units": (0, 2)}),
    ],
)
def test_but_not_where_it_reads_none_of_them(clamp: Clamp, said: dict[str, Any]) -> None:
    model = compile_clamped("logistic", [clamp], "binary_cross_entropy", **said)
    weight, free = np.ones((BATCH, STEPS)), np.ones((BATCH, STEPS, 3))
    weight[1, 2], free[1, 2, 1] = 0, 0
    wanted = np.zeros((BATCH, STEPS, len(said.get("units", (0, 1, 2)))))
    values = states(-1)[..., : 2 if clamp.units else 3]
    assert np.isfinite(measure(model, c=values, weight=weight, free=free, y=wanted))


@pytest.mark.parametrize("loss", ["squared_error", "huber", "cross_entropy"])
def test_other_losses_take_any(loss: str) -> None:
    model = compile_clamped("identity", [Clamp("p", "c", at=(2, 3))], loss)
    assert np.isfinite(measure(model, c=states(-1)))
