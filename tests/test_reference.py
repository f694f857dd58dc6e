"""What the reference executor does at every corner of the language, in numbers small enough to check by eye."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from strategies import Case, cases

from graphbptt.ir.data import Clamp, Last, Target
from graphbptt.ir.layout import place_parameters
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph
from graphbptt.reference import (
    ForwardPass,
    add_copies,
    derive_copies,
    measure_losses,
    run_reference,
)

Graph = nx.MultiDiGraph
START, WANTED = Clamp("h", "start", at="start"), Target("h", "wanted")


def walk(
    graph: Graph,
    clamps: list[Clamp],
    targets: list[Target],
    fields: dict[str, Any],
    steps: int | None = None,
    **parameters: Any,
) -> ForwardPass:
    """Run forward; parameters are zero, except those given, with ``__`` for ``->`` and ``_`` for a point."""
    network = fold_graph(graph, clamps, targets)
    layout = place_parameters(network)
    vector = np.zeros(layout.size)
    for name, value in parameters.items():
        layout.view(vector, name.replace("__", "->").replace("_", "."))[...] = value
    return run_reference(network, layout, vector, bind_batch(network, fields, steps, np.float64))


def combine(forward: ForwardPass) -> dict[str, list[Any]]:
    combined = add_copies(forward.network, derive_copies(forward))
    return {group: value.tolist() for group, value in combined.items()}


def series(forward: ForwardPass, node: str) -> list[Any]:
    """One list for each sequence of the batch, its values those of the first unit."""
    return forward.series(node)[..., 0].T.tolist()


def shift_register(delay: int, **attributes: Any) -> Graph:
    """y reads x at a delay, by a wire."""
    graph = Graph()
    graph.add_node("x", **attributes)
    graph.add_node("y")
    graph.add_edge("x", "y", delay=delay, weight="wire")
    return graph


INPUT = [Clamp("x", "input")]
RAMP = np.array([[[1.0], [2], [3], [4]], [[5], [6], [7], [8]]])


class TestTime:
    @pytest.mark.parametrize(
        ("delay", "wanted"),
        [
            (0, [[1, 2, 3, 4], [5, 6, 7, 8]]),
            (1, [[9, 1, 2, 3], [9, 5, 6, 7]]),
            (-1, [[2, 3, 4, 9], [6, 7, 8, 9]]),
        ],
    )
    def test_a_delay_shifts(self, delay: int, wanted: list[list[float]]) -> None:
        forward = walk(shift_register(delay, initial=9), INPUT, [], {"input": RAMP})
        assert series(forward, "y") == wanted

    @pytest.mark.parametrize(
        ("delay", "wanted"), [(2, [-20, -10, 1, 2]), (-2, [3, 4, -10, -20]), (6, [-60, -50, -40, -30])]
    )
    def test_history_rows_count_away_from_the_sequence(self, delay: int, wanted: list[float]) -> None:
        rows = [[-10 * row] for row in range(1, abs(delay) + 1)]
        forward = walk(shift_register(delay, initial=rows), INPUT, [], {"input": RAMP})
        assert series(forward, "y")[0] == wanted

    def test_look_ahead_starts_at_each_sequences_own_end(self) -> None:
        fields = {"input": RAMP, "lengths": [2, 4]}
        forward = walk(shift_register(-2, initial=[[-10], [-20]]), INPUT, [], fields)
        assert series(forward, "y") == [[-10, -20, 0, 0], [7, 8, -10, -20]]

    def test_padding_holds_the_initial_rows(self) -> None:
        graph = shift_register(3, initial=[[-10], [-20], [-30]])
        forward = walk(graph, INPUT, [], {"input": RAMP, "lengths": [1, 3]})
        assert series(forward, "x") == [[1, -10, -20, -30], [5, 6, 7, -10]]
        graph = shift_register(1, initial=7)
        forward = walk(graph, INPUT, [], {"input": RAMP, "lengths": [1, 3]})
        assert series(forward, "x") == [[1, 7, 7, 7], [5, 6, 7, 7]]

    def test_the_reverse_scan_of_a_negative_component(self) -> None:
        graph = Graph()
        graph.add_node("h", bias=False)
        graph.add_edge("x", "h", delay=0, weight="wire")
        graph.add_edge("h", "h", delay=-1, weight="wire")
        forward = walk(graph, INPUT, [], {"input": RAMP, "lengths": [3, 4]})
        assert series(forward, "h") == [[6, 5, 3, 0], [26, 21, 15, 8]]

    def test_padding_reaches_neither_state_nor_loss_nor_gradient(self) -> None:
        graph = Graph()
        graph.add_node("h", activation="tanh", initial="learned")
        graph.add_edge("x", "h")
        graph.add_edge("h", "h")
        results = []
        for rubbish in (0.0, np.nan, 1e300):
            data = RAMP.copy()
            data[0, 2:] = rubbish
            fields = {"input": data, "wanted": data, "lengths": [2, 4]}
            forward = walk(graph, INPUT, [WANTED], fields, x__h=0.1, h__h=0.3, h_bias=0.2)
            results.append((series(forward, "h"), measure_losses(forward).tolist(), combine(forward)))
        assert results[0] == results[1] == results[2]


class TestConnections:
    def test_the_adjacency_convention(self) -> None:
        graph = Graph()
        graph.add_node("x", units=2)
        graph.add_node("y", units=3, bias=[0.5, 0, 0])
        graph.add_edge("x", "y", delay=0)
        forward = walk(
            graph, INPUT, [], {"input": [[[1, 10]]]}, x__y=[[1, 2, 3], [4, 5, 6]], y_bias=[0.5, 0, 0]
        )
        assert forward.series("y").tolist() == [[[41.5, 52, 63]]]

    def test_parts_pick_units_in_their_order(self) -> None:
        graph = Graph()
        graph.add_node("x", units=3)
        graph.add_node("y", units=4, bias=False)
        graph.add_edge("x", "y", delay=0, from_units=[2, 0], to_units=[3, 1], weight="one_to_one")
        forward = walk(graph, INPUT, [], {"input": [[[1, 10, 100]]]}, x__y=[2, 3])
        assert forward.series("y").tolist() == [[[0, 3, 0, 200]]]

    def test_ties_scale_and_transpose(self) -> None:
        graph = Graph()
        graph.add_node("x", units=2)
        graph.add_node("y", units=2, bias=False)
        graph.add_edge("x", "y", delay=0, tie={"group": "W", "scale": -2, "transpose": True})
        graph.add_edge("x", "y", delay=1, tie="W")
        weights = [[1, 2], [3, 4]]
        target = Target("y", "wanted", units=(0,), at=(2,))
        data = np.array([[[1, 0], [0, 1.0]]])
        forward = walk(graph, INPUT, [target], {"input": data, "wanted": [[0.0]]}, W=weights)
        # Step 2: x[1] @ W = [1, 2], and x[2] @ (-2 W.T) = -2 * [2, 4]; the derivative by y[2] is [-3, 0].
        assert forward.series("y")[1].tolist() == [[-3, -6]]
        copies = {(copy.owner, copy.step): value.tolist() for copy, value in derive_copies(forward).items()}
        assert copies["x->y@0", 2] == [[0, 0], [-3, 0]]
        assert copies["x->y@1", 2] == [[-3, 0], [0, 0]]
        assert combine(forward)["W"] == [[-3, 6], [0, 0]]


class TestActivations:
    @pytest.mark.parametrize("init", [0.5, [0.5, 0.25]])
    def test_a_learned_coefficient_is_one_number_or_one_per_unit(self, init: Any) -> None:
        graph = Graph()
        graph.add_node("h", units=2, activation="rate * x", coefficients={"rate": {"init": init}})
        graph.add_node("x", units=2)
        forward = walk(graph, INPUT, [WANTED], {"input": [[[1, 10]]], "wanted": [[[0, 0]]]}, h_rate=init)
        rates = np.broadcast_to(init, 2)
        by_unit = rates * [1, 100]
        assert combine(forward)["h.rate"] == (by_unit.sum() if np.ndim(init) == 0 else by_unit.tolist())

    def test_a_state_read_at_a_delay(self) -> None:
        graph = Graph()
        graph.add_node("x", initial=[[5], [6]])
        graph.add_node("y", activation="x * x[t-2] + x[t+1]")
        forward = walk(graph, INPUT, [], {"input": RAMP[:1]})
        assert series(forward, "y") == [[1 * 6 + 2, 2 * 5 + 3, 3 * 1 + 4, 4 * 2 + 5]]


def memory(**attributes: Any) -> Graph:
    """h[t] = w h[t-1]."""
    graph = Graph()
    graph.add_node("h", bias=False, **attributes)
    graph.add_edge("h", "h")
    return graph


class TestClamps:
    def test_listed_and_masked_clamps_replace_the_state(self) -> None:
        clamps = [Clamp("h", "given", at=(2,)), Clamp("h", "static", mask="when")]
        fields = {
            "given": np.full((2, 4, 1), 5.0),
            "static": [[7.0], [8.0]],
            "when": [[[0], [0], [1], [0]], [[0], [1], [0], [0]]],
        }
        forward = walk(memory(initial=1), clamps, [], fields, h__h=2)
        # Where both hold, the later one does.
        assert series(forward, "h") == [[2, 5, 7, 14], [2, 8, 16, 32]]

    def test_what_is_clamped_passes_no_derivative(self) -> None:
        fields = {
            "given": [[3.0], [3.0]],
            "when": [[[0], [1], [0]], [[0], [0], [0]]],
            "wanted": [[0.0], [0.0]],
        }
        target = Target("h", "wanted", at="last")
        forward = walk(
            memory(initial="learned"),
            [Clamp("h", "given", mask="when")],
            [target],
            fields,
            h__h=2,
            h_initial=1,
        )
        assert series(forward, "h") == [[2, 3, 6], [2, 4, 8]]
        # Half of: 6 * 3 for the sequence clamped at step 2; 8 * 3 * 4 for the free one.
        assert combine(forward) == {
            "h->h": (6 * 3 + 8 * 3 * 4) / 2 * np.ones((1, 1)),
            "h.initial": [8 * 8 / 2],
        }

    def test_a_target_on_a_clamped_state_costs_but_teaches_nothing(self) -> None:
        fields = {"given": [[[3.0], [3.0]]], "wanted": [[[1.0], [1.0]]]}
        forward = walk(memory(initial=1), [Clamp("h", "given", at=(1, 2))], [WANTED], fields)
        assert measure_losses(forward).tolist() == [2.0]
        assert combine(forward) == {"h->h": [[0.0]]}

    def test_a_start_clamp_stands_for_the_initial_state(self) -> None:
        graph = Graph()
        graph.add_node("h", units=2, initial="learned", bias=False)
        graph.add_edge("h", "h", weight="scalar")
        clamp = Clamp("h", "start", units=(1,), at="start", mask="mask")
        fields = {"start": [[10.0], [20.0]], "mask": [[1], [0]], "wanted": np.zeros((2, 1, 2))}
        forward = walk(graph, [clamp], [WANTED], fields, h__h=3, h_initial=[1, 2])
        assert forward.states["h", 0].tolist() == [[1, 10], [1, 2]]
        assert forward.series("h").tolist() == [[[3, 30], [3, 6]]]
        assert combine(forward)["h.initial"] == [3 * 3 / 2 + 3 * 3 / 2, 6 * 3 / 2]

    def test_a_start_clamp_also_stands_behind_the_end(self) -> None:
        clamp = Clamp("x", "start", at="start")
        fields = {"input": RAMP, "start": [[[50.0], [60]], [[70], [80]]], "lengths": [2, 4]}
        forward = walk(shift_register(-2), [*INPUT, clamp], [], fields)
        assert series(forward, "y") == [[50, 60, 0, 0], [7, 8, 70, 80]]
        assert series(forward, "x")[0] == [1, 2, 50, 60]


class TestInitialStates:
    def test_derivatives_of_every_history_row(self) -> None:
        graph = shift_register(-2, initial={"init": [[1.0], [2.0]]})
        graph.add_edge("x", "y", delay=1, weight="wire")
        fields = {"input": np.zeros((1, 3, 1)), "wanted": np.zeros((1, 3, 1))}
        forward = walk(graph, INPUT, [Target("y", "wanted")], fields, x_initial=[[1], [2]])
        # y = x[t+2] + x[t-1]: row 0 is read at step 1 (as step 0) and at step 2 (as step 4), row 1 at step 3.
        assert series(forward, "y") == [[1, 1, 2]]
        assert combine(forward)["x.initial"] == [[2 / 3], [2 / 3]]

    def test_padded_steps_pass_their_derivative_to_it(self) -> None:
        graph = shift_register(-1, initial="learned")
        fields = {"input": RAMP, "wanted": np.zeros((2, 4, 1)), "lengths": [2, 3]}
        forward = walk(graph, INPUT, [Target("y", "wanted", at="last")], fields, x_initial=3)
        assert combine(forward)["x.initial"] == [3.0]


class TestLosses:
    def test_the_mean_runs_over_real_steps_with_a_target(self) -> None:
        fields = {"start": [[1.0], [1.0]], "wanted": np.zeros((2, 3, 1)), "lengths": [1, 3]}
        target = Target("h", "wanted", at=Last(2), weight=5.0)
        forward = walk(memory(), [START], [target], fields, h__h=2)
        assert measure_losses(forward).tolist() == [(2**2 + 4**2 + 8**2) / 2 / 3]

    def test_a_target_without_steps_is_nothing(self) -> None:
        fields = {"start": [[1.0]], "wanted": np.zeros((1, 3, 1))}
        forward = walk(memory(), [START], [Target("h", "wanted", at=(7,))], fields, h__h=2)
        assert measure_losses(forward).tolist() == [0.0]
        assert combine(forward) == {"h->h": [[0.0]]}

    def test_binary_cross_entropy_of_a_saturated_unit_still_teaches(self) -> None:
        graph = Graph()
        graph.add_node("h", activation="logistic", bias=True)
        target = Target("h", "wanted", "binary_cross_entropy")
        forward = walk(graph, [], [target], {"wanted": [[[0.0]]]}, h_bias=800)
        assert measure_losses(forward).tolist() == [800.0]
        assert combine(forward) == {"h.bias": [1.0]}

    def test_cross_entropy_takes_logits(self) -> None:
        graph = Graph()
        graph.add_node("h", units=2, bias=True)
        target = Target("h", "label", "cross_entropy", units=(1, 0))
        forward = walk(graph, [], [target], {"label": [[0]]}, h_bias=[0, np.log(3)])
        np.testing.assert_allclose(measure_losses(forward), [np.log(4 / 3)])
        np.testing.assert_allclose(combine(forward)["h.bias"], [1 / 4, -1 / 4])


def compute(case: Case) -> ForwardPass:
    network = case.fold()
    layout = place_parameters(network)
    batch = bind_batch(network, case.fields, case.steps, np.float64, noise=None)
    return run_reference(network, layout, case.draw_vector(layout.size), batch)


@given(case=cases())
def test_every_copy_has_a_derivative(case: Case) -> None:
    """At the steps that some sequence has; those of an initial state are at step 0."""
    forward = compute(case)
    copies = [copy for held in forward.unrolled.groups.values() for copy in held]
    held = [copy for copy in copies if copy.step <= forward.batch.longest]
    assert sorted(map(str, derive_copies(forward))) == sorted(map(str, held))


@given(case=cases())
def test_a_batch_computes_what_its_sequences_compute_alone(case: Case) -> None:
    """Without noise, of which each example of a batch has its own."""
    forward = compute(case)
    network, layout = forward.network, place_parameters(forward.network)
    for example in range(forward.batch.size):
        fields = {name: values[example : example + 1] for name, values in case.fields.items()}
        batch = bind_batch(network, fields, case.steps, np.float64, targets=False, noise=None)
        alone = run_reference(network, layout, case.draw_vector(layout.size), batch)
        for population in network.population:
            np.testing.assert_allclose(
                alone.series(population)[:, 0], forward.series(population)[:, example], rtol=1e-12, atol=1e-12
            )
