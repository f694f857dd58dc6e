"""`Model.step` as its user meets it: what it carries, what disturbs it, what it refuses."""

from __future__ import annotations

from typing import Any

import agreement
import networkx as nx
import numpy as np
import pytest

import graphbptt
from graphbptt import stream
from graphbptt.errors import DataError, SpecError
from graphbptt.ir.batch import CarriedState
from graphbptt.model import Model
from graphbptt.passes.bind_step import bind_step, make_feeder

BACKENDS = [*agreement.BACKENDS, "reference"]
X = np.random.default_rng(0).normal(size=(2, 6, 1))


def build_model(*clamps: graphbptt.Clamp, backend: str = "numpy", dtype: str = "float64") -> Model:
    """Two units that remember what they were three steps ago."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x")
    graph.add_node("h", units=2, activation="tanh", initial=[0.1, -0.2])
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "h", delay=3)
    inputs = [graphbptt.Clamp("x", "x"), *clamps]
    return graphbptt.compile(graph, inputs, backend=backend, dtype=dtype)


def walk(model: Model, *steps: int) -> np.ndarray:
    """The states of h at some steps of X."""
    return np.stack([model.step({"x": X[:, step - 1]})["h"] for step in steps], axis=1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_reset_starts_anew(backend: str) -> None:
    model = build_model(backend=backend)
    whole = model.run({"x": X})["h"]
    assert np.array_equal(walk(model, 1, 2, 3, 4), whole[:, :4])
    model.reset()
    assert np.array_equal(walk(model, 1, 2, 3, 4, 5, 6), whole)


def test_reset_binds_nothing_anew() -> None:
    model = build_model()
    whole = model.run({"x": X})["h"]
    walk(model, 1, 2)
    stepper = model._stream._stepper
    for count in (1, 3, 6):
        model.reset()
        assert np.array_equal(walk(model, *range(1, count + 1)), whole[:, :count])
        assert model._stream._stepper is stepper
    model.reset()
    assert model.step({"x": X[:1, 0]})["h"].shape == (1, 2)
    assert model._stream._stepper is not stepper


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_state_can_be_kept_and_gone_on_from(backend: str) -> None:
    model = build_model(backend=backend)
    whole = model.run({"x": X})["h"]
    assert model.state is None
    walk(model, 1, 2, 3)
    kept = model.state
    assert kept is not None
    assert kept.offset == 3
    assert np.array_equal(kept.rows["h"].swapaxes(0, 1), whole[:, 2::-1])
    walk(model, 4, 5)
    model.state = kept
    assert np.array_equal(walk(model, 4, 5, 6), whole[:, 3:])
    other = build_model(backend=backend)
    other.state = kept
    assert np.array_equal(walk(other, 4, 5, 6), whole[:, 3:])
    assert other.state is not None
    assert other.state.offset == 6


@pytest.mark.parametrize("backend", BACKENDS)
def test_other_calls_leave_the_stream_alone(backend: str) -> None:
    model = build_model(backend=backend)
    whole = model.run({"x": X})["h"]
    for step in range(1, 7):
        assert np.array_equal(walk(model, step)[:, 0], whole[:, step - 1])
        model.run({"x": -X[:, :1]})
        model.run({"x": X})


def test_returned_states_are_the_users_own() -> None:
    model = build_model()
    first = walk(model, 1)
    states = model.step({"x": X[:, 1]})
    kept = states["h"].copy()
    states["x"][...] = 7
    walk(model, 3)
    assert np.array_equal(states["h"], kept)
    assert np.array_equal(first, build_model().run({"x": X})["h"][:, :1])


def test_parameters_may_change_between_steps() -> None:
    model, other = build_model(), build_model()
    walk(model, 1)
    for changed in (model, other):
        changed.parameters["x->h"] = [[2.0, -1.0]]
    assert np.array_equal(model.step({"x": X[:, 1]})["h"], other.run({"x": X})["h"][:, 1])


def test_anything_like_an_array_will_do() -> None:
    model, other = build_model(dtype="float32"), build_model(dtype="float32")
    listed = other.step({"x": [[1], [2]]})["h"]
    assert listed.dtype == np.float32
    assert np.array_equal(listed, model.step({"x": np.array([[1.0], [2.0]])})["h"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_clamps_at_the_start_are_read_by_the_first_step_alone(backend: str) -> None:
    model = build_model(graphbptt.Clamp("h", "h0", at="start"), backend=backend)
    start = np.array([[0.5, 0.6], [0.7, 0.8]])
    whole = model.run({"x": X, "h0": start})["h"]
    first = model.step({"x": X[:, 0], "h0": start})["h"]
    assert np.array_equal(first, whole[:, 0])
    assert np.array_equal(walk(model, 2, 3, 4), whole[:, 1:4])
    model.reset()
    with pytest.raises(DataError, match="field h0: is absent"):
        walk(model, 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_that_runs_freely_keeps_its_sequences(backend: str) -> None:
    graph: nx.DiGraph[str] = nx.DiGraph([("h", "h")])
    inputs = [graphbptt.Clamp("h", "h0", at="start")]
    model = graphbptt.compile(graph, inputs, backend=backend, dtype="float64")
    start = np.array([[1.0], [2.0], [3.0]])
    whole = model.run({"h0": start}, 3)["h"]
    steps = [model.step({"h0": start})["h"], model.step()["h"], model.step()["h"]]
    assert np.array_equal(np.stack(steps, axis=1), whole)


@pytest.mark.parametrize("backend", BACKENDS)
def test_listed_and_masked_steps_count_from_the_first(backend: str) -> None:
    clamps = [graphbptt.Clamp("h", "a", at=(2, 5)), graphbptt.Clamp("h", "b", (1,), mask="m")]
    model = build_model(*clamps, backend=backend)
    rng = np.random.default_rng(1)
    fields = {
        "x": X, "a": rng.normal(size=(2, 6, 2)), "b": rng.normal(size=(2, 6, 1)),
        "m": rng.integers(0, 2, (2, 6, 1)),
    }  # fmt: skip
    whole = model.run(fields)["h"]
    for step in range(6):
        states = model.step({name: array[:, step] for name, array in fields.items()})
        assert np.array_equal(states["h"], whole[:, step])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"x": np.zeros((3, 1))},
            "field x: batch axis of 3; the state that is carried has 2; they must be equal",
        ),
        ({"x": np.zeros((2, 2))}, "field x: shape (2, 2) given; the clamp of x needs"),
        ({"x": np.array([[0.0], [np.nan]])}, "field x: nan at example 1, unit 0"),
        ({"x": np.zeros((2, 1), complex)}, "field x: holds complex128"),
        ({"y": np.zeros((2, 1))}, "field x: is absent, but the clamp of x reads it"),
        ({"x": np.zeros((2, 1)), "lengths": [1, 1]}, "field lengths: a step has no length; leave it out"),
        (3, "fields: int given"),
    ],
)
def test_fields_that_cannot_be_used(fields: Any, said: str) -> None:
    model = build_model()
    whole = model.run({"x": X})["h"]
    walk(model, 1)
    with pytest.raises(DataError) as caught:
        model.step(fields)
    assert said in str(caught.value)
    assert np.array_equal(walk(model, 2)[:, 0], whole[:, 1])


def test_states_that_do_not_fit() -> None:
    model = build_model()
    with pytest.raises(
        DataError, match=r"state: a dict is no state of a stream; assign what `model.state` gave"
    ):
        model.state = {"h": np.zeros((3, 2, 2))}  # type: ignore[assignment]
    with pytest.raises(DataError) as caught:
        model.state = CarriedState({"h": np.zeros((2, 5, 2))})
    assert str(caught.value) == (
        "state of h: rows of shape (2, 5, 2) given; its history has shape (3, 5, 2)\n"
        "state of x: its rows are absent; its history has shape (1, 5, 1)"
    )


def test_a_network_that_looks_ahead_cannot_be_stepped() -> None:
    graph = nx.DiGraph([("x", "h")])
    graph.add_edge("x", "h", delay=-2)
    model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")])
    with pytest.raises(SpecError) as caught:
        model.step({"x": np.zeros((1, 1))})
    assert str(caught.value) == (
        "edge x->h: a network that looks ahead cannot be run one step at a time; give it a delay of at least 0, not -2"
    )


@pytest.mark.parametrize(
    ("x", "fits"),
    [
        (np.array([[3.0], [4.0]]), True),
        (np.array([[3.0], [4.0]], np.float32), True),
        (np.array([[3], [4]]), True),
        (np.array([[True], [False]]), True),
        (np.array([[[9.0], [3.0]], [[9.0], [4.0]]])[:, 1], True),
        (np.array([[3.0], [np.inf]]), False),
        (np.array([[1e30], [1e300]]), False),
        (np.array([[3.0, 4.0]]), False),
        (np.array([3.0, 4.0]), False),
        (np.array([[3.0], [4.0], [5.0]]), False),
        (np.array([[3.0], [4.0]], complex), False),
        (np.ma.masked_array([[3.0], [4.0]]), False),
        ([[3.0], [4.0]], False),
    ],
)
def test_a_feeder_takes_what_needs_no_closer_look(x: Any, fits: bool) -> None:
    model = build_model(dtype="float32")
    fields: dict[str, Any] = {"x": np.ones((2, 1))}
    feeder = make_feeder(model.network, fields, bind_step(model.network, fields, model.dtype))
    assert feeder.feed({"x": x}, 2) is fits
    if fits:
        assert feeder.batch.clamps[0].values.tolist() == [np.asarray(x, np.float32).tolist()]


@pytest.mark.parametrize(
    ("mask", "fits"),
    [
        (np.array([[1.0, 0.0], [0.0, 0.0]]), True),
        (np.array([[1, 0], [0, 0]]), True),
        (np.array([[True, False], [False, False]]), True),
        (np.array([[1.0, 0.0], [0.0, 2.0]]), False),
        (np.array([[1.0, 0.0], [0.0, np.nan]]), False),
        (np.array([[1.0, 0.0], [0.0, 0.0]], complex), False),
        (np.array([[1.0], [0.0]]), False),
        ([[1.0, 0.0], [0.0, 0.0]], False),
    ],
)
def test_a_feeder_puts_values_where_a_mask_holds(mask: Any, fits: bool) -> None:
    """Whatever they are where it does not."""
    model = build_model(graphbptt.Clamp("h", "held", mask="mask"), dtype="float32")
    fields: dict[str, Any] = {"x": np.ones((2, 1)), "held": np.ones((2, 2)), "mask": np.ones((2, 2))}
    feeder = make_feeder(model.network, fields, bind_step(model.network, fields, model.dtype))
    held = np.array([[3.0, np.nan], [np.inf, 1e300]])
    assert feeder.feed({**fields, "held": held, "mask": mask}, 2) is fits
    if fits:
        bound = feeder.batch.clamps[1]
        assert bound.values.tolist() == [[[3.0, 0.0], [0.0, 0.0]]]
        assert bound.mask is not None
        assert bound.mask.tolist() == [[[True, False], [False, False]]]
        assert not feeder.feed({**fields, "held": held}, 2)
        assert not feeder.feed({**fields, "held": held.astype(complex), "mask": mask}, 2)
        assert feeder.feed(fields, 2)
        assert bound.values.all()


@pytest.mark.parametrize("mask", [None, "mask"])
def test_a_feeder_counts_listed_steps(mask: str | None) -> None:
    model = build_model(graphbptt.Clamp("h", "held", at=(2, 5), mask=mask))
    fields = {"x": np.ones((2, 1)), "held": np.full((2, 2), 3.0), "mask": np.array([[1, 1], [0, 1]])}
    feeder = make_feeder(model.network, fields, bind_step(model.network, fields, model.dtype))
    bound = feeder.batch.clamps[1]
    listed = fields["mask"] if mask else np.ones((2, 2))
    for step in range(1, 8):
        expected = listed * (step in (2, 5))
        assert feeder.feed(fields, step)
        assert np.array_equal(bound.values, 3.0 * expected[None])
        assert np.array_equal(bound.mask, expected[None])


def test_masks_and_listed_steps_are_bound_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clamps = [graphbptt.Clamp("h", "a", at=(2, 5)), graphbptt.Clamp("h", "b", (1,), mask="m")]
    model = build_model(*clamps)
    bound: list[int] = []
    monkeypatch.setattr(stream, "bind_step", lambda *given: bound.append(1) or bind_step(*given))
    for step in range(6):
        h = X[:, step]
        model.step({"x": h, "a": np.hstack([h, h]), "b": h, "m": h > 0})
    assert len(bound) == 1


def test_a_feeder_knows_the_names_that_were_checked() -> None:
    model = build_model()
    fields = {"x": X[:, 0], "y": X[:, 0]}
    feeder = make_feeder(model.network, fields, bind_step(model.network, fields, model.dtype))
    assert feeder.feed(dict(reversed(fields.items())), 2)
    for other in (
        {"y": X[:, 0]},
        {"x": X[:, 0]},
        {**fields, "length": X[:, 0]},
        {**fields, "lengths": [1, 1]},
    ):
        assert not feeder.feed(other, 2)
    walk(model, 1, 2)
    with pytest.raises(DataError, match="field length: nothing reads it; did you mean 'lengths'"):
        model.step({"x": X[:, 2], "length": np.ones(2)})


@pytest.mark.parametrize("backend", BACKENDS)
def test_noise_and_fields_of_every_kind_are_those_of_a_run(backend: str) -> None:
    """Steps of which nothing needs a closer look, and others, in turn."""
    graph: nx.DiGraph[str] = nx.DiGraph([("x", "h"), ("h", "h")])
    graph.add_node("h", units=2, activation="tanh", noise=0.5)
    inputs = [
        graphbptt.Clamp("x", "x"),
        graphbptt.Clamp("h", "h0", at="start"),
        graphbptt.Clamp("h", "h1", (1,)),
    ]
    model = graphbptt.compile(graph, inputs, backend=backend, dtype="float64")
    held = np.random.default_rng(1).integers(-2, 3, size=(2, 6, 1))
    start = np.ones((2, 2))
    for noise in (True, False, 5):
        model.reset()
        whole = model.run({"x": X, "h0": start, "h1": held}, noise=noise)["h"]
        for step in range(6):
            x: Any = X[:, step].tolist() if step == 3 else X[:, step]
            states = model.step({"x": x, "h0": start, "h1": held[:, step]}, noise=noise)
            assert np.array_equal(states["h"], whole[:, step]), (noise, step)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_overflows_warns_of_nothing(backend: str) -> None:
    graph: nx.DiGraph[str] = nx.DiGraph([("x", "h")])
    graph.add_node("h", activation="exp(net)")
    model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], backend=backend)
    model.parameters["x->h"] = [[1.0]]
    for x in (1000.0, 1000.0, 0.0):
        h = model.step({"x": np.array([[x]])})["h"]
    assert h.item() == np.inf


@pytest.mark.parametrize("backend", BACKENDS)
def test_nodes_that_share_a_field_have_their_columns_of_it(backend: str) -> None:
    graph: nx.DiGraph[str] = nx.DiGraph([("a", "h"), ("b", "h"), ("h", "h")])
    model = graphbptt.compile(graph, [graphbptt.Clamp(["b", "a"], "x")], backend=backend, dtype="float64")
    x = np.random.default_rng(2).normal(size=(2, 6, 2))
    whole = model.run({"x": x})
    for step in range(6):
        states = model.step({"x": x[:, step]})
        assert all(np.array_equal(states[node], series[:, step]) for node, series in whole.items())
    feeder = model._stream._feeder
    assert feeder is not None
    assert feeder.feed({"x": x[:, 0]}, 1)
    assert np.array_equal(np.concatenate([bound.values[0] for bound in feeder.batch.clamps], axis=1), x[:, 0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_nodes_that_share_a_field_have_their_columns_of_its_mask(backend: str) -> None:
    graph: nx.DiGraph[str] = nx.DiGraph([("a", "h"), ("b", "h"), ("h", "a"), ("h", "b")])
    clamp = graphbptt.Clamp(["b", "a"], "x", mask="m", at=(1, 2, 4, 5))
    model = graphbptt.compile(graph, [clamp], backend=backend, dtype="float64")
    rng = np.random.default_rng(2)
    fields = {"x": rng.normal(size=(2, 6, 2)), "m": rng.integers(0, 2, size=(2, 6, 2))}
    whole = model.run(fields)
    for step in range(6):
        states = model.step({name: array[:, step] for name, array in fields.items()})
        assert all(np.array_equal(states[node], series[:, step]) for node, series in whole.items())
