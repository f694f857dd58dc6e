"""What is given from Python and cannot be used ends as an error of the project that says what to give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt

GRAPH = nx.DiGraph([("x", "y")])
FIELDS = {"x": np.zeros((3, 4, 1)), "y": np.ones((3, 4, 1))}
SPEC = Path(__file__).parents[2] / "specs" / "binary_addition.yaml"


@pytest.fixture
def model() -> graphbptt.Model:
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    return graphbptt.compile(GRAPH, inputs, targets, backend="numpy", dtype="float64")


class Tensor:
    """Refuses what a tensor of PyTorch does that requires a gradient."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> np.ndarray:
        return FIELDS["x"]


class OnDevice:
    """Refuses what an array of CuPy's does."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` [...].")

    def get(self) -> np.ndarray:
        return FIELDS["x"]


class Unreadable:
    """Refuses, and has no way out."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("No numbers here.")


def test_evaluate_takes_what_train_takes(model: graphbptt.Model) -> None:
    whole = graphbptt.evaluate(model, graphbptt.Dataset(FIELDS))
    assert graphbptt.evaluate(model, FIELDS) == whole
    assert whole.loss == pytest.approx(model.loss_and_gradients(FIELDS)[0])


def test_evaluate_asks_for_one_of_several_parts(model: graphbptt.Model) -> None:
    parts = graphbptt.Parts(graphbptt.Dataset(FIELDS), test=graphbptt.Dataset(FIELDS))
    with pytest.raises(graphbptt.DataError, match=r"these are the parts .*; give data.train or data.test"):
        graphbptt.evaluate(model, parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("chunk", [0, -1, 2.5, True])
def test_a_chunk_is_a_number_of_examples(model: graphbptt.Model, chunk: Any) -> None:
    with pytest.raises(graphbptt.SpecError, match=r"chunk: .* examples cannot be run at a time"):
        graphbptt.evaluate(model, FIELDS, chunk=chunk)


@pytest.mark.parametrize("use", [graphbptt.train, graphbptt.evaluate, graphbptt.check_gradients])
def test_a_graph_has_to_be_compiled(use: Callable[..., Any]) -> None:
    with pytest.raises(graphbptt.SpecError, match=r"model: a DiGraph is no .*; give what graphbptt.compile"):
        use(GRAPH, FIELDS)


def test_a_dataset_has_fields() -> None:
    with pytest.raises(graphbptt.DataError, match=r"a ndarray holds no fields; give {field name: array}"):
        graphbptt.Dataset(np.zeros((3, 4, 1)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([[1.0], [1.0, 2.0]], "is no array: .*; pad its sequences"),
        ([np.zeros(1), np.zeros(2)], "is no array: .*; pad its sequences"),
        (Unreadable(), "is no array: No numbers here.; give an array of real numbers$"),
        (Tensor(), r"is a tensor .* cannot read as it is; give x.detach\(\).cpu\(\)$"),
        ([Tensor()], r"holds a tensor .*; give \[t.detach\(\).cpu\(\) for t in x\]$"),
        (OnDevice(), r"is an array on a GPU, where NumPy cannot read it; give x.get\(\)$"),
        ([OnDevice()], r"holds an array on a GPU, .*; give \[t.get\(\) for t in x\]$"),
    ],
)
def test_a_field_is_an_array(model: graphbptt.Model, given: Any, said: str) -> None:
    with pytest.raises(graphbptt.DataError, match=f"field x: {said}"):
        graphbptt.Dataset({"x": given})
    for use in (
        model.run,
        model.step,
        model.loss_and_gradients,
        lambda fields: graphbptt.train(model, fields),
    ):
        with pytest.raises(graphbptt.DataError, match=f"field x: {said}"):
            use({**FIELDS, "x": given})


@pytest.mark.parametrize(
    ("given", "said"),
    [(Tensor(), r"is a tensor .*; give value.detach\(\).cpu\(\)$"), (OnDevice(), r".* give value.get\(\)$")],
)
def test_a_parameter_is_assigned_an_array(model: graphbptt.Model, given: Any, said: str) -> None:
    with pytest.raises(graphbptt.DataError, match=rf"parameters\['x->y'\]: {said}"):
        model.parameters["x->y"] = given


def test_a_step_has_no_time(model: graphbptt.Model) -> None:
    with pytest.raises(
        graphbptt.DataError, match=r"with 4 steps; one step is \(batch, units\): give x\[:, t\]"
    ):
        model.step({"x": FIELDS["x"]})
    assert model.step({"x": FIELDS["x"][:, 0]})["y"].shape == (3, 1)


def test_overrides_are_texts() -> None:
    with pytest.raises(graphbptt.SpecError, match="an override is 3, which is no text"):
        graphbptt.load(SPEC, [3])  # type: ignore[list-item]
