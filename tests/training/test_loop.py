"""The training loop: what an update is, which parameters are kept, when it ends, and how it fails."""

from __future__ import annotations

import inspect
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt.declaration.run_schema import TrainingDeclaration
from graphbptt.training.evaluation import measure_loss
from graphbptt.training.loop import Epoch, train

Fields = dict[str, np.ndarray]


def build_model(seed: int = 0) -> graphbptt.Model:
    """Three units that follow one input."""
    graph = nx.DiGraph()
    graph.add_node("x")
    graph.add_node("h", units=3, activation="tanh", initial="learned")
    graph.add_node("y")
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "h")
    graph.add_edge("h", "y", delay=0)
    inputs = [graphbptt.Clamp("x", "x")]
    targets = [graphbptt.Target("y", "y")]
    return graphbptt.compile(graph, inputs, targets, dtype="float64", seed=seed, backend="numpy")


def draw_fields(examples: int, seed: int = 0) -> Fields:
    """A running sum."""
    x = np.random.default_rng(seed).normal(0, 0.3, (examples, 5, 1))
    return {"x": x, "y": x.cumsum(axis=1)}


@pytest.fixture
def fields() -> Fields:
    return draw_fields(20)


def test_the_arguments_are_the_keys_of_the_spec() -> None:
    arguments = set(inspect.signature(train).parameters)
    assert set(TrainingDeclaration.model_fields) <= arguments
    assert arguments - set(TrainingDeclaration.model_fields) == {
        "model",
        "data",
        "validation",
        "seed",
        "report",
    }


def test_one_update_is_one_step_of_the_optimizer(fields: Fields) -> None:
    model, other = build_model(), build_model()
    loss, gradients = other.loss_and_gradients(fields)
    history = train(model, fields, optimizer={"sgd": {"rate": 0.1}}, epochs=1, batch=20)
    assert history.epochs[0].train_loss == pytest.approx(loss)
    for group, gradient in gradients.items():
        np.testing.assert_allclose(model.parameters[group], other.parameters[group] - 0.1 * gradient)


def test_clipping_shortens_the_step(fields: Fields) -> None:
    model, other = build_model(), build_model()
    before = model.vector.copy()
    train(model, fields, optimizer={"sgd": {"rate": 1.0}}, epochs=1, batch=20, clip=0.01)
    assert np.linalg.norm(model.vector - before) == pytest.approx(0.01)
    train(other, fields, optimizer={"sgd": {"rate": 1.0}}, epochs=1, batch=20)
    assert np.linalg.norm(other.vector - before) > 0.1


def test_training_learns_and_its_course_depends_on_the_seed_alone(fields: Fields) -> None:
    settings: dict[str, Any] = {"optimizer": {"adam": {"rate": 0.01}}, "epochs": 30, "batch": 6}
    histories = [train(build_model(), fields, **settings, seed=seed) for seed in (1, 1, 2)]
    assert histories[0].epochs[-1].train_loss < 0.1 * histories[0].epochs[0].train_loss
    assert histories[0] == histories[1] != histories[2]


def test_the_best_parameters_by_validation_are_kept(fields: Fields) -> None:
    model, validation = build_model(), draw_fields(7, seed=1)
    history = train(
        model, fields, optimizer={"sgd": {"rate": 2.0}}, epochs=15, batch=4, validation=validation
    )
    losses = [epoch.validation_loss for epoch in history.epochs]
    assert history.kept.validation_loss == min(losses)  # type: ignore[type-var]
    assert losses[-1] != min(losses)  # type: ignore[type-var]
    assert measure_loss(model, graphbptt.Dataset(validation)) == pytest.approx(history.kept.validation_loss)


def test_without_validation_the_parameters_are_those_of_the_last_update(fields: Fields) -> None:
    """However the updates are divided into calls, and wherever the training loss was lowest."""
    settings: dict[str, Any] = {"optimizer": {"sgd": {"rate": 1.5}}, "batch": 20}
    whole, pieces = build_model(), build_model()
    history = train(whole, fields, epochs=6, **settings)
    losses = [train(pieces, fields, epochs=1, **settings).kept.train_loss for _ in range(6)]
    np.testing.assert_array_equal(whole.vector, pieces.vector)
    assert losses == [epoch.train_loss for epoch in history.epochs]
    assert history.kept is history.epochs[-1]
    assert not any(epoch.best for epoch in history.epochs)
    assert losses[-1] > min(losses)


def test_every_example_has_its_update(fields: Fields) -> None:
    together, alone = build_model(), build_model()
    settings: dict[str, Any] = {"optimizer": {"sgd": {"rate": 0.1}}, "batch": 1}
    train(together, {name: array[[0] * 8] for name, array in fields.items()}, epochs=1, **settings)
    for _ in range(8):
        train(alone, {name: array[:1] for name, array in fields.items()}, epochs=1, **settings)
    np.testing.assert_array_equal(together.vector, alone.vector)


def test_divergence_leaves_the_parameters_of_the_lowest_training_loss(fields: Fields) -> None:
    model = build_model()
    start = model.vector.copy()
    with pytest.raises(graphbptt.DivergenceError):
        train(model, fields, optimizer={"sgd": {"rate": 1e200}}, epochs=5, batch=20)
    np.testing.assert_array_equal(model.vector, start)


def test_patience_ends_training(fields: Fields) -> None:
    settings: dict[str, Any] = {"optimizer": {"sgd": {"rate": 2.0}}, "epochs": 200, "batch": 4}
    history = train(build_model(), fields, **settings, patience=3, validation=draw_fields(7, seed=1))
    assert history.ended == "patience"
    assert len(history.epochs) == history.kept.number + 3 < 200
    assert train(build_model(), fields, epochs=2).ended == "epochs"


def test_an_interrupt_leaves_the_parameters_of_the_last_whole_epoch(fields: Fields) -> None:
    def interrupt(epoch: Epoch) -> None:
        if epoch.number == 4:
            raise KeyboardInterrupt

    model, finished = build_model(), build_model()
    with pytest.raises(KeyboardInterrupt):
        train(model, fields, epochs=100, report=interrupt)
    train(finished, fields, epochs=4)
    np.testing.assert_array_equal(model.vector, finished.vector)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"optimizer": "adm"}, "did you mean 'adam'"),
        ({"optimizer": {"adam": {"rate": -1.0}}}, "optimizer.adam.rate"),
        ({"optimizer": {"adam": {}, "sgd": {}}}, "2 names where one is chosen"),
        ({"epochs": 0}, "epochs: 0 is out of range"),
        ({"batch": 2.5}, "batch: 2.5 cannot stand here"),
        ({"patience": 2}, "there is no validation part"),
    ],
)
def test_settings_that_cannot_be(fields: Fields, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(graphbptt.SpecError) as caught:
        train(build_model(), fields, **settings)
    assert said in str(caught.value)


def test_a_network_that_cannot_learn(fields: Fields) -> None:
    graph = nx.DiGraph()
    graph.add_edge("x", "y", weight="wire")
    model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], backend="numpy")
    with pytest.raises(graphbptt.SpecError) as caught:
        train(model, fields)
    assert [problem.path for problem in caught.value.problems] == ["targets", "network"]


def build_explosion() -> graphbptt.Model:
    """A state that squares itself from 10 on; another that follows it within the step, and comes first by name."""
    graph = nx.DiGraph()
    graph.add_node("square", activation="square[t-1] * square[t-1]", initial=10)
    graph.add_node("after")
    graph.add_edge("square", "after", delay=0, init=1)
    return graphbptt.compile(graph, [], [graphbptt.Target("after", "y")], backend="numpy")


def test_a_state_that_diverges_is_named_with_its_step() -> None:
    # 10 ** (2 ** step) passes the largest float32, 3.4e38, at step 6.
    with pytest.raises(graphbptt.DivergenceError) as caught:
        train(build_explosion(), {"y": np.zeros((1, 9, 1))})
    assert "the state of node 'square' is not finite from step 6 on" in str(caught.value)
    assert "epoch 1" in str(caught.value)


def test_a_derivative_that_diverges_is_named() -> None:
    graph = nx.DiGraph()
    graph.add_node("root", activation="sqrt", bias=0)
    model = graphbptt.compile(graph, [], [graphbptt.Target("root", "y")], backend="numpy")
    with pytest.raises(graphbptt.DivergenceError, match=r"parameter 'root.bias'"):
        train(model, {"y": np.ones((1, 2, 1))})


@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_a_loss_that_overflows_where_no_state_does_is_named(activation: str) -> None:
    graph = nx.DiGraph()
    graph.add_node("x")
    graph.add_node("y", activation=activation)
    graph.add_node("idle", bias=True)
    graph.add_edge("x", "y", delay=0, init=1)
    targets = [graphbptt.Target("idle", "none", mask="no"), graphbptt.Target("y", "y", mask="on")]
    model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], targets, backend="numpy")
    size = np.array([1, 1, 1, 1e30, 1, 1, 1])[None, :, None]
    fields = {"x": size, "y": size, "none": size, "no": np.zeros((1, 7)), "on": np.ones((1, 7))}
    if activation == "identity":
        fields["y"] = -size
    with pytest.raises(graphbptt.DivergenceError) as caught:
        train(model, fields)
    assert "the loss of node 'y' is not from step 4 on" in str(caught.value)


def test_a_net_input_that_overflows_behind_a_saturated_state_is_named() -> None:
    graph = nx.DiGraph()
    graph.add_node("x")
    graph.add_node("bit", activation="logistic")
    graph.add_edge("x", "bit", delay=0, init=1e30)
    targets = [graphbptt.Target("bit", "bit", "binary_cross_entropy")]
    model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], targets, backend="numpy")
    fields = {"x": np.array([0, 0, 1e30, 0, 0.0])[None, :, None], "bit": np.ones((1, 5, 1))}
    with pytest.raises(graphbptt.DivergenceError, match="loss of node 'bit' is not from step 3 on"):
        train(model, fields)


def test_a_loss_of_validation_is_named_too(fields: Fields) -> None:
    model = build_model()
    far = {name: np.where(np.arange(5)[:, None] == 2, 1e200, array) for name, array in fields.items()}
    with pytest.raises(graphbptt.DivergenceError, match=r"in validation.*'y' is not from step 3 on"):
        train(model, fields, validation=far)


def test_a_rate_far_too_high_names_node_and_step(fields: Fields) -> None:
    with pytest.raises(graphbptt.DivergenceError, match=r"node '\w+' is not (finite )?from step \d on"):
        train(build_model(), fields, optimizer={"sgd": {"rate": 1e300}}, epochs=5)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_data_in_which_nothing_is_wanted_are_refused(fields: Fields, part: str) -> None:
    graph = nx.DiGraph()
    graph.add_edge("x", "y")
    target = graphbptt.Target("y", "y", mask="on")
    model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], [target], backend="numpy")
    data = {name: {**fields, "on": np.full((20, 5), float(name != part))} for name in ("train", "validation")}
    with pytest.raises(graphbptt.DataError, match=f"data.{part}: no target has a step in it"):
        train(model, data["train"], validation=data["validation"])


def test_every_part_is_checked_before_the_first_update(fields: Fields) -> None:
    spoilt = {**fields, "y": fields["y"].copy()}
    spoilt["y"][13, 2] = np.nan
    model = build_model()
    before = model.vector.copy()
    parts = graphbptt.Parts(graphbptt.Dataset(spoilt), test=graphbptt.Dataset({"x": fields["x"]}))
    with pytest.raises(graphbptt.DataError) as caught:
        train(model, parts)
    said = [problem.path for problem in caught.value.problems]
    assert said == ["train: field y", "test: field y"]
    assert "example 13" in str(caught.value)
    np.testing.assert_array_equal(model.vector, before)


@pytest.mark.parametrize(("data", "said"), [([1], "a list holds no fields"), (None, "a NoneType")])
def test_data_that_are_no_fields(fields: Fields, data: Any, said: str) -> None:
    with pytest.raises(graphbptt.DataError, match=said):
        train(build_model(), data)
    if data is not None:
        with pytest.raises(graphbptt.DataError, match=said):
            train(build_model(), fields, validation=data)


@pytest.mark.parametrize("seed", [-1, 1.5, "one"])
def test_a_seed_that_cannot_be(fields: Fields, seed: Any) -> None:
    with pytest.raises(graphbptt.SpecError, match="is no seed"):
        train(build_model(), fields, seed=seed)


def test_settings_may_be_numbers_of_numpy(fields: Fields) -> None:
    history = train(build_model(), fields, epochs=np.int64(2), batch=np.int32(20), clip=np.float32(1))  # type: ignore[arg-type]
    assert len(history.epochs) == 2
