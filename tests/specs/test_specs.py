"""Every shipped spec runs, and reaches the figure that its first comment promises."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphbptt
from graphbptt.training.metrics import RELATIVE_VARIANCE

SPECS = Path(__file__).parents[2] / "specs"
ALL = sorted(SPECS.glob("*.yaml"))


def run_spec(name: str, *overrides: str) -> dict[str, graphbptt.Evaluation]:
    """Train a spec and measure every part of its data."""
    spec = graphbptt.load(SPECS / name, overrides)
    parts, model = spec.data(), spec.compile()
    graphbptt.train(model, parts, **dict(spec.training))
    return spec.evaluate(model, parts)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_spec_runs_and_says_what_to_expect(path: Path) -> None:
    comment = path.read_text().split("network:")[0]
    assert comment.startswith("# ")
    assert "xpect" in comment
    figures = run_spec(path.name, "training.epochs=2")
    assert all(evaluation.loss is not None for evaluation in figures.values())


def test_sunspots_are_predicted_better_than_by_a_linear_autoregression() -> None:
    spec = graphbptt.load(SPECS / "sunspots.yaml")
    parts, model = spec.data(), spec.compile()
    graphbptt.train(model, parts, **dict(spec.training))
    network, linear = spec.evaluate(model, parts), spec.evaluate_baseline(model, parts)
    assert linear["test"].figures["prediction"][RELATIVE_VARIANCE] == pytest.approx(0.127, abs=0.001)
    assert network["test"].figures["prediction"][RELATIVE_VARIANCE] <= 0.11


def test_binary_addition_carries_through_sequences_three_times_as_long() -> None:
    figures = run_spec("binary_addition.yaml")
    assert figures["test"].figures["sum"]["sequences right"] == 1


def test_the_attractor_completes_patterns_and_stays() -> None:
    figures = run_spec("attractor.yaml")
    for part in ("validation", "test"):
        assert figures[part].figures["memory"]["bits right"] >= 0.95
