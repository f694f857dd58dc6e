"""A compiled model as its user meets it: its settings, its names, its losses."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import networkx as nx
import numpy as np
import pytest
from agreement import BACKENDS

import graphbptt
from graphbptt.backend import list_backends, load_backend
from graphbptt.compiler import compile_network
from graphbptt.errors import DataError, SpecError
from graphbptt.ir.data import Clamp, Target
from graphbptt.ir.losses import LOSSES
from graphbptt.model import Model
from graphbptt.training.dataset import Dataset
from graphbptt.training.divergence import find_first_state
from graphbptt.training.evaluation import evaluate


def draw(activation: str = "identity") -> nx.DiGraph[Any]:
    graph: nx.DiGraph[Any] = nx.DiGraph([(0, 1)])
    graph.add_node(1, activation=activation)
    return graph


@pytest.mark.parametrize("dtype", ["int32", "float16", "complex64", "nonsense", None, 3])
def test_types_that_cannot_be_computed_with(dtype: Any) -> None:
    with pytest.raises(SpecError) as caught:
        graphbptt.compile(draw(), dtype=dtype)
    assert str(caught.value) == f"dtype: {dtype!r} is no type to compute with; write float32 or float64"


@pytest.mark.parametrize("dtype", ["float32", np.float64, float, ">f4"])
def test_types_are_native(dtype: Any) -> None:
    model = graphbptt.compile(draw(), dtype=dtype)
    assert model.vector.dtype.isnative
    assert model.vector.dtype.name == np.dtype(dtype).name


def test_a_node_without_states_is_named_with_a_remedy() -> None:
    graph: nx.DiGraph[Any] = nx.DiGraph([("hidden", 1)])
    states = graphbptt.compile(graph).run({}, steps=2)
    with pytest.raises(KeyError, match=r"no node 'hiden'; did you mean 'hidden'\?"):
        states["hiden"]
    assert "hidden" in states
    assert 2 not in states


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True])
def test_seeds(seed: Any) -> None:
    with pytest.raises(SpecError) as caught:
        graphbptt.compile(draw(), seed=seed)
    assert str(caught.value) == f"seed: {seed!r} is no seed; write a whole number, at least 0"


def test_all_settings_are_judged_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        graphbptt.compile(draw(), dtype="int8", seed=-3)
    assert [problem.path for problem in caught.value.problems] == ["dtype", "seed"]


def test_a_seed_may_be_of_numpy() -> None:
    first, second = (graphbptt.compile(draw(), seed=seed) for seed in (5, np.int64(5)))  # type: ignore[arg-type]
    assert np.array_equal(first.vector, second.vector)


@pytest.mark.parametrize("fields", [np.zeros((2, 3, 1)), [1, 2], None])
def test_fields_are_a_mapping(fields: Any) -> None:
    model = graphbptt.compile(draw(), [Clamp(0, "x")])  # type: ignore[arg-type]
    with pytest.raises(DataError, match=f"^fields: {type(fields).__name__} given; give a dictionary"):
        model.run(fields)


def test_states_are_keyed_by_the_nodes_of_the_graph() -> None:
    fields = {"x": np.ones((2, 3, 1)), "y": np.zeros((2, 3, 1))}
    model = graphbptt.compile(draw(), [Clamp(0, "x")], [Target(1, "y")])  # type: ignore[arg-type]
    states = model.run(fields)
    assert set(states) == {0, 1}
    assert np.array_equal(states[0], fields["x"])
    assert evaluate(model, Dataset(fields)).loss == pytest.approx(model.loss_and_gradients(fields)[0])
    assert set(Model(compile_network(model.network)).run(fields)) == {"0", "1"}


def test_total_loss_weights_the_means() -> None:
    targets = [Target(1, "a", weight=0.5), Target(1, "b", weight=2)]  # type: ignore[arg-type]
    model = graphbptt.compile(draw(), [], targets)
    assert model.network.total_loss([3.0, 5.0]) == 0.5 * 3 + 2 * 5
    fields = {"a": np.ones((1, 2, 1)), "b": np.full((1, 2, 1), 3.0)}
    assert model.loss_and_gradients(fields)[0] == 0.5 * 0.5 + 2 * 4.5


@pytest.mark.parametrize("wanted", [0.0, 0.3, 1.0])
def test_slope_of_binary_cross_entropy_is_that_of_its_value(wanted: float) -> None:
    probability = np.array([[[-0.5, 0.2, 0.9, 1.5]]])
    measure, step = LOSSES["binary_cross_entropy"].measure, 1e-6
    _, slope = measure(probability, np.full_like(probability, wanted))
    for unit in range(4):
        part = probability[..., [unit]]
        above, below = (measure(part + sign * step, np.full_like(part, wanted))[0] for sign in (1, -1))
        assert slope[0, 0, unit] == pytest.approx((above - below).item() / (2 * step), rel=1e-6)


def test_gradients_agree_where_probabilities_are_clipped() -> None:
    targets = [Target(1, "y", "binary_cross_entropy", at=tuple(range(2, 7)))]  # type: ignore[arg-type]
    graph = draw("gain * tanh(net)")
    graph.add_node(1, coefficients={"gain": 2.0})
    model = graphbptt.compile(graph, [Clamp(0, "x")], targets)  # type: ignore[arg-type]
    model.parameters["0->1"] = [[3.0]]
    fields = {"x": np.linspace(-1, 1, 12).reshape(2, 6, 1), "y": np.ones((2, 6, 1))}
    assert graphbptt.check_gradients(model, fields).error < 1e-6


def test_divergence_is_named_in_graphs_of_any_nodes() -> None:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node(("a", 1), activation="exp(exp(net))", bias=False)
    graph.add_node(2, activation="exp(exp(net))", bias=False)
    graph.add_edges_from([("x", ("a", 1)), ("x", 2)], delay=0, init=1.0)
    model = graphbptt.compile(graph, [Clamp("x", "x")], [Target("2", "y")])
    fields = {"x": np.array([[[0.0], [9.0]]]), "y": np.zeros((1, 2, 1))}
    first = find_first_state(model, model.bind(fields))
    assert first is not None
    assert (first.node, first.step) == ("('a', 1)", 2)
    assert first.origin.what == "exp(exp(net)) is inf where exp(net) is 8103.08"


@pytest.mark.parametrize("value", [["a"], [[1], [1, 2]], [1j], None, [[1.0, 2.0]]])
def test_values_that_no_parameter_can_have(value: Any) -> None:
    model = graphbptt.compile(draw())
    with pytest.raises(DataError, match=r"parameters\['1.bias'\]: .*; it has shape \(1,\)"):
        model.parameters["1.bias"] = value


@pytest.mark.parametrize("extent", [{"steps": 0}, {"batch": -1}, {"steps": 1.5}, {"batch": True}])
def test_a_plan_is_explained_for_whole_numbers(extent: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"there is no plan for .*; write a whole number from 1 on"):
        graphbptt.compile(draw()).explain(**extent)


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_a_copy_has_parameters_of_its_own(make: Callable[[Model], Model], backend: str) -> None:
    if isinstance(load_backend(list_backends()[backend]), str):
        pytest.skip("there is no C compiler")
    model = graphbptt.compile(draw(), backend=backend, seed=3)
    before = model.vector.copy()
    copied = make(model)
    assert copied.backend == backend
    np.testing.assert_array_equal(copied.vector, before)
    copied.vector[:] = 0
    np.testing.assert_array_equal(model.vector, before)


def test_a_model_is_not_pickled_and_says_what_to_do() -> None:
    with pytest.raises(TypeError, match="compile the graph again where the model is needed, and assign"):
        pickle.dumps(graphbptt.compile(draw()))


def test_negated_weights_are_explained_where_there_are_some() -> None:
    sentence = "the weights that lead there are packed with the opposite sign"
    assert sentence in graphbptt.compile(draw("logistic")).explain()
    assert sentence not in graphbptt.compile(draw("tanh")).explain()


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_may_share_a_model(backend: str) -> None:
    """Its memory serves one of them at a time."""
    graph: nx.DiGraph[Any] = nx.DiGraph([("x", "h"), ("h", "h"), ("h", "y")])
    graph.add_node("x", units=3)
    graph.add_node("h", units=40, activation="tanh")
    model = graphbptt.compile(
        graph, [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")], backend=backend, dtype="float64"
    )
    rng = np.random.default_rng(0)
    batches = [{"x": rng.normal(size=(64, 30, 3)), "y": rng.normal(size=(64, 30, 1))} for _ in range(4)]

    def compute(fields: dict[str, np.ndarray]) -> tuple[float, np.ndarray]:
        return model.loss_and_gradients(fields)[0], model.run(fields)["h"]

    expected = [compute(fields) for fields in batches]
    with ThreadPoolExecutor(4) as pool:
        for found in [pool.map(compute, batches) for _ in range(20)]:
            for (loss, states), (wanted, activities) in zip(found, expected, strict=True):
                assert loss == wanted
                assert np.array_equal(states, activities)
