"""Truncated backpropagation and states carried between batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import Case, cases

import graphbptt
from graphbptt.compiler import compile_network
from graphbptt.declaration.run_schema import Truncation
from graphbptt.errors import DivergenceError, SpecError
from graphbptt.ir.batch import Batch, CarriedState
from graphbptt.model import Model
from graphbptt.passes.cut_batch import cut_batch
from graphbptt.training.loop import train
from graphbptt.training.windows import check_batches, cut_windows, lay_windows

SGD = {"sgd": {"rate": 0.1}}


def build_model(backend: str = "numpy", delay: int = 1, **node: Any) -> Model:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("h", units=3, activation="tanh", **node)
    graph.add_edge("x", "h", delay=0)
    graph.add_edge("h", "h", delay=delay)
    graph.add_edge("h", "y", delay=0)
    inputs, targets = [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")]
    return graphbptt.compile(graph, inputs, targets, backend=backend, dtype="float64")


def draw_fields(examples: int, steps: int) -> dict[str, np.ndarray]:
    x = np.random.default_rng(0).normal(0, 0.3, (examples, steps, 1))
    return {"x": x, "y": x.cumsum(axis=1)}


@given(steps=st.integers(1, 40), length=st.integers(1, 50), data=st.data())
def test_every_step_is_wanted_once(steps: int, length: int, data: st.DataObject) -> None:
    stride = data.draw(st.none() | st.integers(1, length))
    windows = lay_windows(steps, Truncation(steps=length, stride=stride))
    assert windows[0].wanted == 0
    assert windows[-1].stop == steps
    assert all(window.stop == following.wanted for window, following in pairwise(windows))
    for window in windows:
        assert 0 <= window.start <= window.wanted < window.stop <= window.wanted + (stride or length)
        assert window.start == max(0, window.stop - length)


@given(case=cases(causal=True), seed=st.integers(0, 3))
def test_truncation_to_the_full_length_is_none_bit_for_bit(case: Case, seed: int) -> None:
    models = [Model(compile_network(case.fold()), "numpy", "float64", seed=seed) for _ in range(2)]
    assume(models[0].plan.layout.free)
    assume(any(target.count for target in models[0].bind(case.fields, case.steps).targets))
    data = graphbptt.Dataset(case.fields, case.steps) if case.fields else None
    assume(data is not None)
    histories = []
    for model, truncate in zip(models, (None, {"steps": case.steps + seed}), strict=True):
        model.vector[...] = case.draw_vector(model.vector.size)
        if keeper := model.keep():
            keeper.apply()
        try:
            histories.append(train(model, data, optimizer=SGD, epochs=2, batch=2, truncate=truncate))  # type: ignore[arg-type]
        except DivergenceError as error:
            histories.append(str(error))  # type: ignore[arg-type]
    assert histories[0] == histories[1]
    assert np.array_equal(models[0].vector, models[1].vector, equal_nan=True)


@given(case=cases(causal=True), data=st.data())
def test_windows_forward_are_the_run(case: Case, data: st.DataObject) -> None:
    """Their losses, weighted by their pairs, add up to that of the whole batch."""
    model = Model(compile_network(case.fold()), "numpy", "float64")
    model.vector[...] = case.draw_vector(model.vector.size)
    batch = model.bind(case.fields, case.steps)
    steps = data.draw(st.integers(1, case.steps), "steps")
    truncation = Truncation(steps=steps, stride=data.draw(st.integers(1, steps), "stride"))
    total = np.zeros(len(batch.terms))
    for window in cut_windows(model, batch, truncation):
        total += model.losses(window) * [term.count for term in window.terms]
    whole = model.losses(batch) * [term.count for term in batch.terms]
    np.testing.assert_allclose(total, whole, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "reference"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_an_update_per_window(backend: str, stride: int) -> None:
    """By hand: windows of the last three steps, each from the states that were computed when it was passed."""
    model, other = (
        build_model(backend, delay=2, initial="learned"),
        build_model(backend, delay=2, initial="learned"),
    )
    fields = draw_fields(4, 7)
    train(
        model, fields, optimizer=SGD, epochs=1, batch=4, truncate={"steps": 3, "stride": stride},
        validation=fields,
    )  # fmt: skip
    batch, network = other.bind(fields), other.network
    gradient = np.zeros(other.plan.layout.free)
    passed: dict[int, CarriedState] = {}
    for wanted in range(0, 7, stride):
        stop = min(wanted + stride, 7)
        start = max(0, stop - 3)
        window = cut_batch(network, batch, start, stop, wanted, passed.get(start))
        other.loss_and_gradient(window, gradient)
        passed |= {t: other.carry(t - start, t) for t in range(max(start, 1), stop + 1)}
        other.vector[: gradient.size] -= 0.1 * gradient
    np.testing.assert_allclose(model.vector, other.vector, rtol=1e-13, atol=1e-15)


def test_learned_initial_states_are_learned_where_derivatives_reach_them() -> None:
    model = build_model(initial="learned")
    batch = model.bind(draw_fields(2, 6))
    slot = model.plan.layout.slot["h.initial"]
    gradient = np.zeros(model.plan.layout.free)
    reached = []
    for window in cut_windows(model, batch, Truncation(steps=4, stride=2)):
        model.loss_and_gradient(window, gradient)
        reached.append(bool(gradient[slot.offset : slot.stop].any()))
    assert reached == [True, True, False]


@pytest.mark.parametrize("backend", ["numpy", "reference"])
def test_a_mean_is_over_the_copies_that_a_window_has(backend: str) -> None:
    """A bias tied to the initial state: in windows that go on from carried states, the latter has no copy."""
    tie = {"tie": {"group": "b", "combine": "mean"}, "init": 0.3}
    models = [
        build_model(backend, bias=tie, initial={"tie": "b"}),
        build_model(backend, bias={"init": 0.3}, initial={"init": 0.3}),
    ]
    batch = models[0].bind(draw_fields(2, 6))
    windows = [list(cut_and_run(model, batch, Truncation(steps=3))) for model in models]
    for (tied, _), (apart, window) in zip(*windows, strict=True):
        total = apart["h.bias"] + apart["h.initial"]
        copies = 3 if window.offset else 4
        np.testing.assert_allclose(tied["b"], total / copies, rtol=1e-11, atol=1e-14)
        assert apart["h.initial"].any() == (window.offset == 0)
    assert [window.offset for _, window in windows[0]] == [0, 3]


def cut_and_run(
    model: Model, batch: Batch, truncation: Truncation
) -> Iterator[tuple[dict[str, np.ndarray], Batch]]:
    """The derivatives of every window, by group."""
    for window in cut_windows(model, batch, truncation):
        gradient = np.zeros(model.plan.layout.free)
        model.loss_and_gradient(window, gradient)
        yield (
            {slot.group: model.plan.layout.view(gradient, slot.group) for slot in model.plan.layout.slots},
            window,
        )


def build_explosion(at: Any = "every") -> Model:
    """A state that squares itself: 10 ** (2 ** step), too large for float64 from step 9 on."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("square", activation="square[t-1] * square[t-1]", initial=10)
    graph.add_edge("square", "y", delay=0, init=1e-200, trainable=False)
    targets = [graphbptt.Target("y", "y", at=at)]
    return graphbptt.compile(graph, [], targets, backend="numpy", dtype="float64")


@pytest.mark.parametrize(
    ("at", "steps", "settings", "said"),
    [
        ("every", 12, {}, "the state of node 'square' is not finite from step 9 on"),
        ("every", 12, {"truncate": {"steps": 2}}, "the state of node 'square' is not finite from step 9 on"),
        (
            "every",
            12,
            {"truncate": {"steps": 5, "stride": 2}},
            "the state of node 'square' is not finite from step 9 on",
        ),
        (
            "every",
            4,
            {"batch": 1, "stateful": True},
            "the state of node 'square' is not finite from step 1 on",
        ),
        ("last", 12, {"truncate": {"steps": 2}}, "the state of node 'square' is not finite before step 11"),
    ],
)
def test_a_divergence_inside_a_window_is_named_by_the_step_of_its_sequence(
    at: str, steps: int, settings: dict[str, Any], said: str
) -> None:
    """Only the window is run again: with what it was carried, which the sequences from their start would not have."""
    model = build_explosion(at)
    examples = 12 // steps
    still = {"optimizer": {"sgd": {"rate": 1e-300}}, "epochs": 1}
    with pytest.raises(DivergenceError) as caught, np.errstate(all="ignore"):
        train(model, {"y": np.zeros((examples, steps, 1))}, **{**still, **settings})
    assert said in str(caught.value)


def test_windows_without_a_target_make_no_update() -> None:
    """Momentum would move the parameters on even where nothing is wanted."""
    fields = draw_fields(3, 6) | {"lengths": np.array([2, 2, 2])}
    models = [build_model(), build_model()]
    momentum = {"sgd": {"rate": 0.1, "momentum": 0.9}}
    train(models[0], fields, optimizer=momentum, epochs=3, batch=3, truncate={"steps": 2})
    train(models[1], fields, optimizer=momentum, epochs=3, batch=3)
    np.testing.assert_allclose(models[0].vector, models[1].vector, rtol=1e-13)


def test_stateful_batches_are_windows_of_one_long_batch() -> None:
    """Three pieces of four steps of two sequences, piece by piece, or as sequences of twelve cut into windows."""
    long = draw_fields(2, 12)
    pieces = {name: np.concatenate(np.split(array, 3, axis=1)) for name, array in long.items()}
    models = [build_model(delay=3), build_model(delay=3)]
    first = train(models[0], long, optimizer=SGD, epochs=3, batch=2, truncate={"steps": 4}, validation=long)
    second = train(models[1], pieces, optimizer=SGD, epochs=3, batch=2, stateful=True, validation=long)
    assert np.array_equal(models[0].vector, models[1].vector)
    assert [e.train_loss for e in first.epochs] == pytest.approx([e.train_loss for e in second.epochs])


def test_stateful_and_truncated() -> None:
    long = draw_fields(2, 12)
    halves = {name: np.concatenate(np.split(array, 2, axis=1)) for name, array in long.items()}
    models = [build_model(), build_model()]
    settings: dict[str, Any] = {"optimizer": SGD, "epochs": 2, "batch": 2, "validation": long}
    train(models[0], long, truncate={"steps": 3}, **settings)
    train(models[1], halves, truncate={"steps": 3}, stateful=True, **settings)
    assert np.array_equal(models[0].vector, models[1].vector)


def test_batches_of_changing_size_cannot_be_stateful() -> None:
    assert check_batches(12, 4) == check_batches(12, 12) == check_batches(5, 12) == []
    with pytest.raises(SpecError) as caught:
        train(build_model(), draw_fields(20, 4), batch=8, stateful=True)
    assert str(caught.value) == (
        "training.batch: 20 examples in batches of 8 leave 4 for the last one, but with 'stateful' each goes on from"
        " the one at its place in the batch before; write a size that divides 20, such as 4, 5, 10"
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"truncate": {"steps": 2}}, "cannot be trained by truncated backpropagation"),
        ({"stateful": True}, "cannot carry its states to the next batch"),
    ],
)
def test_what_looks_ahead_cannot_be_cut(settings: dict[str, Any], said: str) -> None:
    graph = nx.DiGraph([("x", "y")])
    graph.add_edge("x", "y", delay=-1)
    model = graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "y")])
    with pytest.raises(SpecError) as caught:
        train(model, draw_fields(4, 5), batch=2, **settings)
    assert str(caught.value) == (
        f"edge x->y: a network that looks ahead {said}; give it a delay of at least 0, not -1"
    )


def test_a_stride_that_would_leave_steps_out() -> None:
    with pytest.raises(
        SpecError, match=r"truncate: stride 3 is longer than steps 2, .*; write a stride of at most 2"
    ):
        train(build_model(), draw_fields(4, 5), truncate={"steps": 2, "stride": 3})
    with pytest.raises(SpecError, match=r"truncate.steps: 0 is out of range; write at least 1"):
        train(build_model(), draw_fields(4, 5), truncate={"steps": 0})
