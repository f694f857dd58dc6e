"""Metrics by hand, their combination over chunks, and the linear baseline."""

from __future__ import annotations

import io
import math

import networkx as nx
import numpy as np
import pytest
from rich.console import Console

import graphbptt
from graphbptt.declaration.choices import Autoregression, BaselineChoice
from graphbptt.errors import DataError
from graphbptt.ir.losses import LOSSES
from graphbptt.training.baselines import BASELINES, evaluate_baseline, fit_autoregression
from graphbptt.training.evaluation import Evaluation
from graphbptt.training.loop import Epoch
from graphbptt.training.metrics import METRICS, RELATIVE_VARIANCE, Tally, label_targets
from graphbptt.training.progress import show_progress, tabulate_figures


def test_every_loss_has_its_metrics_and_every_baseline_its_fit() -> None:
    assert set(METRICS) == set(LOSSES)
    assert set(BASELINES) == set(BaselineChoice.model_fields)


def measure(
    loss: str, predicted: list[object], wanted: list[object], weights: list[list[float]]
) -> dict[str, float]:
    tally = Tally()
    target = graphbptt.Target("y", "field", loss)  # type: ignore[arg-type]
    seen = (np.array(predicted), np.array(wanted), np.array(weights))
    tally.measure("y", target, seen, {"field": 4.0})
    return tally.figures()["y"]


def test_squared_error() -> None:
    figures = measure("squared_error", [[[1, 2]], [[5, 5]]], [[[0, 0]], [[9, 9]]], [[2.0], [0.0]])
    assert figures == {"mean squared error": 2.5, RELATIVE_VARIANCE: 0.625}


def test_bits() -> None:
    predicted = [[[0.9], [0.2]], [[0.4], [0.2]], [[0.9], [0.9]]]
    wanted = [[[1], [0]], [[1], [0]], [[0], [0]]]
    figures = measure("binary_cross_entropy", predicted, wanted, [[1, 1], [1, 1], [0, 0]])
    assert figures == {"bits right": 0.75, "sequences right": 0.5}


def test_labels() -> None:
    predicted = [[[0, 3, 1], [9, 0, 0]], [[0, 0, 2], [0, 0, 0]]]
    figures = measure("cross_entropy", predicted, [[1, 1], [2, 0]], [[1, 1], [1, 0]])
    assert figures == {"labels right": pytest.approx(2 / 3)}


def test_nothing_wanted_is_no_number() -> None:
    assert math.isnan(measure("cross_entropy", [[[0, 3]]], [[1]], [[0]])["labels right"])


def build_delay_line() -> graphbptt.Model:
    graph = nx.DiGraph()
    graph.add_node("x")
    graph.add_node("y", units=2, activation="logistic")
    graph.add_edge("x", "y")
    targets = [
        graphbptt.Target("y", "wanted", mask="mask"),
        graphbptt.Target("y", "bit", "binary_cross_entropy", units=[1], weight=0.5),
    ]
    return graphbptt.compile(graph, [graphbptt.Clamp("x", "x")], targets, dtype="float64", backend="numpy")


def test_no_figure_depends_on_the_chunks() -> None:
    rng = np.random.default_rng(0)
    data = graphbptt.Dataset(
        {
            "x": rng.random((9, 4, 1)),
            "wanted": rng.random((9, 4, 2)),
            "bit": rng.integers(0, 2, (9, 4, 1)).astype(float),
            "mask": rng.integers(0, 2, (9, 4)).astype(float),
        }
    )
    model = build_delay_line()
    model.parameters["y.bias"] = [0.3, 0.4]
    model.parameters["x->y"] = [[0.1, 0.5]]
    whole, chunks = (graphbptt.evaluate(model, data, {"wanted": 2.0}, chunk) for chunk in (9, 2))
    assert whole.loss == pytest.approx(model.loss_and_gradients(data.fields)[0])
    assert chunks.loss == pytest.approx(whole.loss)
    assert list(whole.figures) == ["y to wanted", "y to bit"]
    for label, figures in whole.figures.items():
        assert chunks.figures[label] == pytest.approx(figures)


def test_targets_that_share_node_and_field_are_numbered() -> None:
    graph = nx.DiGraph()
    graph.add_node("y", units=2, bias=True)
    targets = [graphbptt.Target("y", "f", units=[0]), graphbptt.Target("y", "f", units=[1])]
    model = graphbptt.compile(graph, [], targets, backend="numpy")
    assert label_targets(model.network, model.aliases) == ["y to f (1)", "y to f (2)"]


def test_an_autoregression_finds_a_linear_recurrence_and_skips_what_has_no_weight() -> None:
    values = np.ones((1, 30, 2))
    for step in range(2, 30):
        values[0, step] = 0.5 * values[0, step - 1][::-1] - 0.4 * values[0, step - 2] + 1
    spoilt = values.copy()
    spoilt[0, 20:] = 7.0
    weights = np.ones((1, 30))
    weights[0, 20:] = 0
    fit = fit_autoregression(Autoregression(lags=2), spoilt, weights)
    np.testing.assert_allclose(fit.predict(values), values[:, 2:], atol=1e-9)


def test_an_autoregression_needs_enough_steps() -> None:
    with pytest.raises(DataError, match="4 steps to fit 7 numbers"):
        fit_autoregression(Autoregression(lags=6), np.ones((1, 10, 1)), np.ones((1, 10)))


def test_a_baseline_is_fitted_on_the_training_part_and_measured_on_every_part() -> None:
    x = np.random.default_rng(0).random((1, 60, 1))
    masks = [np.arange(60) < 40, np.arange(60) >= 40]
    sets = [graphbptt.Dataset({"x": x, "wanted": x, "mask": mask[None].astype(float)}) for mask in masks]
    parts = graphbptt.Parts(sets[0], test=sets[1], variance={"wanted": 0.5})
    graph = nx.DiGraph()
    graph.add_edge("x", "y")
    model = graphbptt.compile(
        graph, [graphbptt.Clamp("x", "x")], [graphbptt.Target("y", "wanted", mask="mask")], backend="numpy"
    )
    choice = BaselineChoice(autoregression=Autoregression(lags=3))
    found = evaluate_baseline(choice, model, parts)
    past = np.stack([x[0, 2:-1, 0], x[0, 1:-2, 0], x[0, :-3, 0], np.ones(57)], axis=1)
    weights = np.linalg.lstsq(past[:37], x[0, 3:40, 0])[0]
    squares = (past @ weights - x[0, 3:, 0]) ** 2
    assert found["train"].figures["y"]["mean squared error"] == pytest.approx(squares[:37].mean())
    assert found["test"].figures["y"]["mean squared error"] == pytest.approx(squares[37:].mean())
    assert found["test"].figures["y"][RELATIVE_VARIANCE] == pytest.approx(squares[37:].mean() / 0.5)


def test_the_table_sets_the_baseline_below_the_network() -> None:
    network = {"train": Evaluation(0.5, {"[y]": {"mean squared error": 1.0}})}
    baseline = {"train": Evaluation(None, {"[y]": {"mean squared error": 2.0}})}
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as capture:
        console.print(tabulate_figures(network, baseline, "linear"))
    assert [line.split() for line in capture.get().splitlines()] == [
        ["target", "figure", "of", "train"],
        ["loss", "network", "0.5000"],
        ["[y]", "mean", "squared", "error", "network", "1.0000"],
        ["[y]", "mean", "squared", "error", "linear", "2.0000"],
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_a_bar_on_a_terminal_and_some_lines_elsewhere(terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    with console.capture() as capture, show_progress(console, 1000) as show:
        for number in range(1, 1001):
            show(Epoch(number, 1 / number, None, best=False))
    shown = capture.get()
    assert ("1000/1000" in shown) == terminal
    if not terminal:
        lines = shown.splitlines()
        assert lines[0] == "epoch 1: train loss 1"
        assert lines[-1] == "epoch 1000: train loss 0.001"
        assert len(lines) == 21


def test_an_evaluation_shows_plain_numbers() -> None:
    graph = nx.DiGraph([("h", "h")])
    graph.add_node("h", penalty={"l2": 0.1})
    model = graphbptt.compile(graph, targets=[graphbptt.Target("h", "y")])
    evaluation = graphbptt.evaluate(model, graphbptt.Dataset({"y": np.ones((1, 2, 1))}))
    assert "penalty on states" in repr(evaluation)
    assert "np." not in repr(evaluation)


def test_small_figures_keep_their_digits() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(
        tabulate_figures({"train": Evaluation(0.00012345, {"y": {"mean squared error": 0.25}})}, {})
    )
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "0.0001234" in printed
    assert "0.2500" in printed
