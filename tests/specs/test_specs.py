"""Every shipped spec runs, and reaches the figure that its first comment promises."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from test_documents import load_script

import graphbptt
from benchmarks.figures import BLIND, LOUD, PLAIN, PROMISES, SIMPLE
from graphbptt.training.metrics import RELATIVE_VARIANCE

SPECS = Path(__file__).parents[2] / "specs"
ALL = sorted(SPECS.glob("*.yaml"))
SEEDS = range(5)


Evaluations = dict[str, graphbptt.Evaluation]


def run_spec(name: str, *overrides: str) -> tuple[Evaluations, Evaluations]:
    """Train a spec and measure every part of its data; the figures of the baseline come second."""
    spec = graphbptt.load(SPECS / name, overrides)
    parts, model = spec.data(), spec.compile()
    graphbptt.train(model, parts, **dict(spec.training))
    return spec.evaluate(model, parts), spec.evaluate_baseline(model, parts)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_spec_runs_and_says_what_to_expect(path: Path) -> None:
    comment = path.read_text().split("network:")[0]
    assert comment.startswith("# ")
    assert "xpect" in comment
    declared = graphbptt.load(path).declaration.spec.data
    few = ["data.examples=500"] if declared and (declared.examples or 0) > 500 else []
    untrained, _ = run_spec(path.name, *few, "training.epochs=1", "training.batch=100000")
    trained, _ = run_spec(path.name, *few, "training.epochs=4")
    for part, evaluation in trained.items():
        before = untrained[part].loss
        assert before is not None
        assert evaluation.loss is not None
        assert math.isfinite(evaluation.loss)
        assert evaluation.loss < before


def test_every_spec_promises_a_figure() -> None:
    assert {path.stem for path in ALL} == {promise.spec for promise in PROMISES}


def test_sunspots_are_predicted_better_than_by_a_linear_autoregression() -> None:
    reached = []
    for seed in SEEDS:
        network, linear = run_spec("sunspots.yaml", f"seed={seed}")
        assert linear["test"].figures["prediction"][RELATIVE_VARIANCE] == pytest.approx(0.127, abs=0.001)
        reached.append(network["test"].figures["prediction"][RELATIVE_VARIANCE])
    assert statistics.median(reached) <= 0.11


def test_binary_addition_carries_through_sequences_three_times_as_long() -> None:
    runs = [run_spec("binary_addition.yaml", f"seed={seed}")[0] for seed in SEEDS]
    solved = [figures["test"].figures["sum"]["sequences right"] == 1 for figures in runs]
    assert sum(solved) >= 4


def test_penalties_make_an_adder_quiet() -> None:
    solved = 0
    for seed in SEEDS:
        activity = []
        for overrides in ((), LOUD.overrides):
            spec = graphbptt.load(SPECS / "quiet_addition.yaml", [f"seed={seed}", *overrides])
            parts, model = spec.data(), spec.compile()
            graphbptt.train(model, parts, **dict(spec.training))
            figures = spec.evaluate(model, parts)["test"].figures
            activity.append(abs(model.run(parts.train.fields)["hidden"]).mean())
            if not overrides:
                solved += figures["sum"]["sequences right"] == 1
                assert figures["hidden"]["penalty on states"] > 0
        assert activity[0] < 0.5 * activity[1]
    assert solved >= 4


def test_the_attractor_completes_patterns_and_stays() -> None:
    for seed in SEEDS:
        figures, _ = run_spec("attractor.yaml", f"seed={seed}")
        for part in ("validation", "test"):
            assert figures[part].figures["memory"]["bits right"] >= 0.95


def test_the_antisymmetric_network_remembers_and_stays_antisymmetric() -> None:
    spec = graphbptt.load(SPECS / "antisymmetric.yaml")
    parts, model = spec.data(), spec.compile()
    graphbptt.train(model, parts, **dict(spec.training))
    assert spec.evaluate(model, parts)["test"].figures["pattern"]["bits right"] >= 0.95
    weights = model.parameters["W"]
    assert abs(weights + weights.T).max() < 1e-6
    assert abs(weights).max() > 0.1


def test_long_short_term_memory_says_every_legal_continuation_of_reber_strings() -> None:
    figures, _ = run_spec("lstm_reber.yaml")
    assert figures["test"].figures["legal"]["sequences right"] == 1


def test_long_short_term_memory_adds_numbers_far_apart() -> None:
    """Over thirty steps; `benchmarks.figures` runs all hundred."""
    short = ("data.steps=30", "data.examples=5000", "data.test.examples=500", "training.epochs=8")
    figures, _ = run_spec("adding.yaml", *short)
    assert figures["test"].figures["sum"]["mean squared error"] < 0.01
    simple, _ = run_spec("adding.yaml", *short, *SIMPLE.overrides, "training.epochs=4")
    assert simple["test"].figures["sum"]["mean squared error"] > 0.1


def test_a_clockwork_network_plays_a_wave_that_a_plain_one_does_not() -> None:
    figures, _ = run_spec("clockwork.yaml")
    assert figures["train"].figures["wave"]["mean squared error"] < 0.005
    plain, _ = run_spec("clockwork.yaml", *PLAIN.overrides)
    assert plain["train"].figures["wave"]["mean squared error"] > 0.01


def test_a_pair_that_looks_both_ways_knows_what_one_that_looks_back_can_only_guess() -> None:
    figures, _ = run_spec("bidirectional.yaml")
    assert figures["test"].figures["parity"]["bits right"] == 1
    blind, _ = run_spec("bidirectional.yaml", *BLIND.overrides, "training.epochs=4")
    assert abs(blind["test"].figures["parity"]["bits right"] - 0.5) < 0.02


def test_a_karate_club_splits_as_it_did_but_for_the_member_that_zachary_misplaced() -> None:
    spec = graphbptt.load(SPECS / "karate.yaml")
    parts, model = spec.data(), spec.compile()
    graphbptt.train(model, parts, **dict(spec.training))
    figures = spec.evaluate(model, parts)["train"].figures
    assert figures["known"]["bits right"] == 1
    assert figures["other"]["bits right"] == 23 / 24
    states = model.run(parts.train.fields, steps=10)
    wrong = [
        member
        for member, said in spec.graph.nodes(data=True)
        if (states[member][0, -1, 0] > 0.5) != (said["faction"] == "Mr. Hi")
    ]
    assert wrong == ["8"]
    assert set(model.parameters) == {"leader", "member", "reluctance"}


def test_the_karate_club_is_the_one_that_networkx_carries() -> None:
    script = load_script(SPECS / "data" / "write_karate.py")
    club = script.draw_club()
    kept = nx.read_graphml(SPECS / "data" / "karate.graphml", node_type=int)
    assert dict(kept.nodes(data=True)) == dict(club.nodes(data=True))
    assert list(kept.edges(data=True)) == list(club.edges(data=True))
    with np.load(SPECS / "data" / "karate.npz") as arrays:
        fields = script.list_fields(club)
        assert set(arrays) == set(fields)
        assert all(np.array_equal(arrays[name], fields[name]) for name in fields)


def test_excitatory_and_inhibitory_units_decide_and_keep_their_signs() -> None:
    """On half of the examples; `benchmarks.figures` runs all."""
    spec = graphbptt.load(SPECS / "ei_decision.yaml", ["data.examples=1000", "training.epochs=8"])
    parts, model = spec.data(), spec.compile()
    before = {name: values.copy() for name, values in model.parameters.items() if "->" in name}
    graphbptt.train(model, parts, **dict(spec.training))
    assert spec.evaluate(model, parts)["test"].figures["choice"]["labels right"] >= 0.85
    for name, values in before.items():
        learned = model.parameters[name]
        sign = -1 if name.startswith("inhibitory") else 1
        assert (sign * learned >= 0).all()
        assert (learned != values).any()
        # Absent weights are none of the parameters; some of the others come to rest at their bound.
        assert (learned == 0).mean() < 0.3
    assert before["excitatory->excitatory"].shape == (0.25 * 40 * 40,)
    assert before["inhibitory->excitatory"].shape == (0.5 * 10 * 40,)
