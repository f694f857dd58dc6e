"""Tensors as data: read as they are where NumPy can, and refused with the conversion that helps where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt

torch = pytest.importorskip("torch")


@pytest.fixture
def model() -> graphbptt.Model:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edge("x", "y", delay=0, weight="wire")
    return graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], backend="numpy")


def test_a_tensor_is_an_array(model: graphbptt.Model) -> None:
    assert (model.run({"x": torch.ones(2, 3, 1)})["y"] == 1).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.requires_grad_(),
        lambda x: x.bfloat16(),
        lambda x: x.bfloat16().requires_grad_(),
        lambda x: x.to(torch.float8_e4m3fn),
        lambda x: x.to_sparse(),
    ],
)
def test_what_a_refusal_asks_for_is_read(model: graphbptt.Model, make: Callable[[Any], Any]) -> None:
    x = make(torch.ones(2, 3, 1))
    with pytest.raises(graphbptt.DataError, match="field x: is a tensor that NumPy cannot read") as caught:
        model.run({"x": x})
    _, _, remedy = str(caught.value).partition("; give ")
    assert (model.run({"x": eval(remedy)})["y"] == 1).all()


def test_the_same_of_a_list_of_tensors(model: graphbptt.Model) -> None:
    x = list(torch.ones(2, 3, 1).bfloat16())
    with pytest.raises(graphbptt.DataError, match="field x: holds a tensor that NumPy cannot read") as caught:
        model.run({"x": x})
    _, _, remedy = str(caught.value).partition("; give ")
    assert (model.run({"x": eval(remedy)})["y"] == 1).all()


def test_a_tensor_without_numbers(model: graphbptt.Model) -> None:
    with pytest.raises(graphbptt.DataError) as caught:
        model.run({"x": torch.ones(2, 3, 1, device="meta")})
    assert str(caught.value) == (
        "field x: is a tensor on PyTorch's meta device, which has a shape and no numbers; give one that is on a CPU or"
        " a GPU"
    )


def test_a_parameter_is_set_from_a_tensor() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("y", bias=True)
    biased = graphbptt.compile(graph, backend="numpy")
    with pytest.raises(
        graphbptt.DataError, match=r"parameters\['y.bias'\]: .*; give value.detach\(\).cpu\(\)$"
    ):
        biased.parameters["y.bias"] = torch.ones(1, requires_grad=True)
    biased.parameters["y.bias"] = torch.ones(1)
    assert np.array_equal(biased.parameters["y.bias"], [1])
