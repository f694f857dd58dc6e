from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

from graphbptt.errors import DataError
from graphbptt.ir.batch import Batch
from graphbptt.ir.data import Clamp, Last, Target
from graphbptt.ir.folded import FoldedNetwork
from graphbptt.passes.bind_batch import bind_batch
from graphbptt.passes.fold_graph import fold_graph

BATCH, STEPS = 3, 4


def fold(clamps: list[Clamp], targets: list[Target] | None = None) -> FoldedNetwork:
    """x (2 units) -> h (3 units, read two steps back) -> p (1 unit, logistic)."""
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", units=2)
    graph.add_node("h", units=3)
    graph.add_node("p", activation="logistic")
    graph.add_edge("x", "h")
    graph.add_edge("h", "p", delay=2)
    return fold_graph(graph, clamps, targets or [])


def numbers(*shape: int) -> np.ndarray:
    return np.arange(1, np.prod(shape) + 1).reshape(shape) / 100


def bind(clamps: list[Clamp], targets: list[Target], fields: dict[str, Any], **keywords: Any) -> Batch:
    return bind_batch(fold(clamps, targets), fields, **{"dtype": np.float64, **keywords})


def problems(
    clamps: list[Clamp], targets: list[Target], fields: dict[str, Any], **keywords: Any
) -> list[str]:
    with pytest.raises(DataError) as caught:
        bind(clamps, targets, fields, **keywords)
    return [str(problem) for problem in caught.value.problems]


INPUT = Clamp("x", "input")
DATA = numbers(BATCH, STEPS, 2)


class TestShapes:
    def test_values_are_time_major_and_of_the_type_asked_for(self) -> None:
        batch = bind([INPUT], [], {"input": DATA}, dtype=np.float32)
        (clamp,) = batch.clamps
        assert (batch.size, batch.steps, batch.lengths) == (BATCH, STEPS, None)
        assert clamp.values.dtype == np.float32
        assert clamp.values.flags.c_contiguous
        assert clamp.mask is None
        np.testing.assert_array_equal(clamp.values, DATA.swapaxes(0, 1).astype(np.float32))

    def test_the_users_array_is_not_shared(self) -> None:
        data = DATA.copy()
        batch = bind([INPUT], [], {"input": data})
        data[...] = 0
        assert batch.clamps[0].values.all()

    def test_lists_and_integers_are_arrays(self) -> None:
        batch = bind([INPUT], [], {"input": [[[1, 2], [3, 4]]]})
        assert batch.clamps[0].values.tolist() == [[[1.0, 2.0]], [[3.0, 4.0]]]

    def test_a_static_field_holds_at_every_step(self) -> None:
        batch = bind([INPUT], [], {"input": DATA[:, 0]}, steps=STEPS)
        np.testing.assert_array_equal(batch.clamps[0].values, np.broadcast_to(DATA[:, 0], (STEPS, BATCH, 2)))

    def test_units_have_as_many_values(self) -> None:
        batch = bind([Clamp("h", "part", units=(2, 0))], [], {"part": DATA})
        assert batch.clamps[0].values.shape == (STEPS, BATCH, 2)

    @pytest.mark.parametrize("shape", [(BATCH, 3), (BATCH, 2, 3)])
    def test_a_clamp_at_the_start_has_history_rows(self, shape: tuple[int, ...]) -> None:
        values = numbers(*shape)
        batch = bind([Clamp("h", "start", at="start")], [], {"start": values}, steps=STEPS)
        rows = values[:, None] if values.ndim == 2 else values
        np.testing.assert_array_equal(
            batch.clamps[0].values, np.broadcast_to(rows.swapaxes(0, 1), (2, BATCH, 3))
        )

    def test_targets_may_be_left_out(self) -> None:
        network = fold([INPUT], [Target("h", "absent")])
        assert bind_batch(network, {"input": DATA}, targets=False).targets == ()

    def test_other_fields_are_ignored(self) -> None:
        bind([INPUT], [], {"input": DATA, "other": np.full((1, 7), np.nan), "name": "text"})

    def test_without_fields_it_is_one_sequence(self) -> None:
        assert bind([], [], {}, steps=2).size == 1

    def test_binding_twice_gives_the_same(self) -> None:
        one, two = (bind([INPUT], [], {"input": DATA}) for _ in range(2))
        np.testing.assert_array_equal(one.clamps[0].values, two.clamps[0].values)


class TestClamps:
    def test_listed_steps_leave_the_others_free(self) -> None:
        batch = bind([Clamp("x", "input", at=(2, 4, 9))], [], {"input": DATA})
        (clamp,) = batch.clamps
        assert clamp.mask is not None
        assert clamp.mask.shape == (STEPS, BATCH, 2)
        assert clamp.mask[:, 0, 0].tolist() == [False, True, False, True]
        assert not clamp.values[~clamp.mask].any()
        np.testing.assert_array_equal(clamp.values[1], DATA[:, 1])

    @pytest.mark.parametrize(
        ("values", "mask"),
        [
            ((BATCH, STEPS, 2), (BATCH, STEPS, 2)),
            ((BATCH, STEPS, 2), (BATCH, STEPS)),
            ((BATCH, STEPS, 2), (BATCH, STEPS, 1)),
            ((BATCH, 2), (BATCH, STEPS, 2)),
            ((BATCH, 2), (BATCH, STEPS, 1)),
            ((BATCH, 2), (BATCH, 2)),
        ],
    )
    def test_a_mask_of_every_shape(self, values: tuple[int, ...], mask: tuple[int, ...]) -> None:
        given = (np.arange(np.prod(mask)).reshape(mask) % 3 > 0).astype(float)
        batch = bind(
            [Clamp("x", "input", mask="mask")], [], {"input": numbers(*values), "mask": given}, steps=4
        )
        (clamp,) = batch.clamps
        timed = given[:, None, :] if mask == (BATCH, 2) else given[..., None] if given.ndim == 2 else given
        wanted = np.broadcast_to(timed.swapaxes(0, 1) == 1, (STEPS, BATCH, 2))
        np.testing.assert_array_equal(clamp.mask, wanted)
        np.testing.assert_array_equal(clamp.values != 0, wanted)

    def test_a_mask_of_booleans_at_the_start(self) -> None:
        mask = np.array([[True, False, True]] * BATCH)
        clamps = [Clamp("h", "start", at="start", mask="mask")]
        batch = bind(clamps, [], {"start": numbers(BATCH, 3), "mask": mask}, steps=1)
        np.testing.assert_array_equal(batch.clamps[0].mask, np.broadcast_to(mask, (2, BATCH, 3)))

    def test_what_is_not_used_may_be_anything(self) -> None:
        data = DATA.copy()
        data[:, 0] = np.nan
        data[0, 2:] = np.inf
        fields = {"input": data, "lengths": [2, 4, 4]}
        (clamp,) = bind([Clamp("x", "input", at=(2, 3))], [], fields).clamps
        assert np.isfinite(clamp.values).all()
        assert clamp.mask is not None
        assert clamp.mask[:, 0, 0].tolist() == [False, True, False, False]

    def test_full_lengths_are_no_lengths(self) -> None:
        assert bind([INPUT], [], {"input": DATA, "lengths": [STEPS] * BATCH}).lengths is None

    def test_padding_holds_zeros(self) -> None:
        batch = bind([INPUT], [], {"input": np.where(True, DATA, 0), "lengths": np.array([4, 1, 2])})
        (clamp,) = batch.clamps
        assert batch.lengths is not None
        assert batch.lengths.tolist() == [4, 1, 2]
        assert clamp.mask is None
        assert (clamp.values[:, :, 0] != 0).sum(axis=0).tolist() == [4, 1, 2]


class TestTargets:
    @pytest.mark.parametrize(
        ("at", "weights"),
        [
            ("every", [[1, 1, 1, 1], [1, 1, 0, 0]]),
            ("last", [[0, 0, 0, 1], [0, 1, 0, 0]]),
            (Last(3), [[0, 1, 1, 1], [1, 1, 0, 0]]),
            ((1, 3, 8), [[1, 0, 1, 0], [1, 0, 0, 0]]),
        ],
    )
    def test_the_weights_say_which_steps_have_a_target(self, at: Any, weights: list[list[int]]) -> None:
        fields = {"wanted": numbers(2, STEPS, 3), "lengths": [4, 2]}
        (target,) = bind([], [Target("h", "wanted", at=at)], fields).targets
        assert target.weights.T.tolist() == weights
        assert target.count == np.sum(weights)

    @pytest.mark.parametrize("static", [True, False])
    def test_a_mask_weights_them(self, static: bool) -> None:
        mask = np.array([0, 0.5, 2]) if static else np.outer([0, 0.5, 2], [1, 0, 1, 1])
        fields = {"wanted": numbers(BATCH, STEPS, 3), "mask": mask}
        (target,) = bind([], [Target("h", "wanted", mask="mask", at=(2, 3))], fields).targets
        wanted = np.zeros((STEPS, BATCH))
        wanted[1:3] = mask if static else mask.T[1:3]
        np.testing.assert_array_equal(target.weights, wanted)
        assert target.count == wanted.sum()

    def test_no_step_at_all_is_no_error(self) -> None:
        (target,) = bind([], [Target("h", "wanted", at=(9,))], {"wanted": numbers(1, 2, 3)}).targets
        assert target.count == 0

    @pytest.mark.parametrize("labels", [np.array([0, 2, 1]), np.array([[0] * 4, [2] * 4, [1] * 4], np.uint8)])
    def test_labels(self, labels: np.ndarray) -> None:
        (target,) = bind([], [Target("h", "label", "cross_entropy")], {"label": labels}, steps=STEPS).targets
        assert target.values.dtype == np.int64
        assert target.values.tolist() == [[0, 2, 1]] * STEPS

    def test_what_has_no_weight_may_be_anything(self) -> None:
        labels = np.array([[7, 1], [-1, 2]])
        wanted = np.full((2, 2, 1), np.nan)
        wanted[:, -1] = 0.5
        targets = [
            Target("h", "label", "cross_entropy", at="last"),
            Target("p", "wanted", "binary_cross_entropy", at="last"),
        ]
        first, second = bind([], targets, {"label": labels, "wanted": wanted}).targets
        assert first.values.tolist() == [[0, 0], [1, 2]]
        assert second.values.tolist() == [[[0.0], [0.0]], [[0.5], [0.5]]]


class TestMistakes:
    @pytest.mark.parametrize(
        ("fields", "problem"),
        [
            ({"inputs": DATA}, "field input: is absent, but the clamp of x reads it; did you mean 'inputs'?"),
            (
                {"input": DATA[..., :1]},
                "field input: shape (3, 4, 1) given; the clamp of x needs (batch, time, 2) or (batch, 2)",
            ),
            (
                {"input": DATA[0, 0]},
                "field input: shape (2,) given; the clamp of x needs (batch, time, 2) or",
            ),
            ({"input": DATA[:0]}, "field input: the batch is empty; give at least one sequence"),
            ({"input": DATA[:, :0]}, "field input: 0 steps; give at least one step"),
            ({"input": [["a", "b"]]}, "field input: holds <U1; give an array of real numbers"),
            ({"input": DATA * 1j}, "field input: holds complex128; give an array of real numbers"),
            ({"input": [[[1.0, 2.0]], [[1.0]]]}, "field input: is no array: setting an array element"),
            (
                {"input": DATA, "lengths": [1, 2]},
                "field lengths: batch axis of 2; field input has 3; they must be",
            ),
            (
                {"input": DATA, "lengths": [1, 0, 4]},
                "field lengths: 0 at example 1; a length is at least 1 and at",
            ),
            (
                {"input": DATA, "lengths": [1, 5, 4]},
                "field lengths: 5 at example 1; a length is at least 1 and at",
            ),
            (
                {"input": DATA, "lengths": [1.0, 2, 3]},
                "field lengths: float64 given; the batch needs integers",
            ),
            (
                {"input": DATA, "lengths": [[4], [4], [4]]},
                "field lengths: shape (3, 1) given; the batch needs (batch,)",
            ),
        ],
    )
    def test_of_the_input(self, fields: dict[str, Any], problem: str) -> None:
        (found,) = problems([INPUT], [], fields)
        assert found.startswith(problem)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_not_finite(self, value: float) -> None:
        data = DATA.copy()
        data[1, 2, 0] = value
        assert problems([INPUT], [], {"input": data}) == [
            f"field input: {value} at example 1, step 3, unit 0; give finite numbers of type float64,"
            " or a mask that is zero where one is missing"
        ]

    def test_values_too_large_for_the_type(self) -> None:
        (found,) = problems([INPUT], [], {"input": DATA * 1e300}, dtype=np.float32)
        assert found.startswith("field input: inf at example 0, step 1, unit 0 and at 23 more places")

    def test_large_finite_values_are_finite(self) -> None:
        bind([INPUT], [], {"input": np.full((2, 3, 2), 1e308)})

    @pytest.mark.parametrize(
        ("targets", "fields", "problem"),
        [
            (
                [Target("h", "y", "cross_entropy")],
                {"y": [0, 3]},
                "field y: 3 at example 1; cross_entropy takes values",
            ),
            (
                [Target("h", "y", "cross_entropy")],
                {"y": [-1, 0]},
                "field y: -1 at example 0; cross_entropy takes",
            ),
            (
                [Target("h", "y", "cross_entropy")],
                {"y": [0.0, 1.0]},
                "field y: float64 given; the target of h needs",
            ),
            (
                [Target("p", "y", "binary_cross_entropy")],
                {"y": [[0.5], [1.5]]},
                "field y: 1.5 at example 1, unit 0; binary_cross_entropy takes values from 0 to 1",
            ),
            (
                [Target("h", "y", mask="m")],
                {"y": numbers(2, 3), "m": [1.0, -1.0]},
                "field m: -1.0 at example 1; the",
            ),
            (
                [Target("h", "y", mask="m")],
                {"y": numbers(2, 3), "m": [1.0, np.nan]},
                "field m: nan at example 1; the",
            ),
            (
                [Target("h", "y", mask="m")],
                {"y": numbers(2, 3), "m": [[[1.0]]] * 2},
                "field m: shape (2, 1, 1) given; the mask of the target of h needs (batch, time) or (batch,)",
            ),
        ],
    )
    def test_of_a_target(self, targets: list[Target], fields: dict[str, Any], problem: str) -> None:
        (found,) = problems([], targets, fields, steps=STEPS)
        assert found.startswith(problem)

    def test_of_a_clamps_mask(self) -> None:
        fields = {"input": DATA, "mask": np.full((BATCH, STEPS), 0.5)}
        (found,) = problems([Clamp("x", "input", mask="mask")], [], fields)
        assert found == (
            "field mask: 0.5 at example 0, step 1, unit 0 and at 11 more places; a mask holds zeros and ones"
        )

    @pytest.mark.parametrize("steps", [0, -1, 5, 2.5])
    def test_of_steps(self, steps: Any) -> None:
        (found,) = problems([INPUT], [], {"input": DATA}, steps=steps)[:1]
        assert "steps" in found

    def test_steps_are_needed_where_nothing_has_a_time_axis(self) -> None:
        assert problems([INPUT], [], {"input": DATA[:, 0]}) == [
            "steps: no field has a time axis; give steps=..., the number of steps to compute"
        ]

    def test_fields_of_different_size(self) -> None:
        fields = {"input": DATA, "wanted": numbers(BATCH + 1, STEPS - 1, 3)}
        assert problems([INPUT], [Target("h", "wanted")], fields) == [
            "field wanted: batch axis of 4; field input has 3; they must be equal",
            "field wanted: time axis of 3; field input has 4; they must be equal",
        ]

    @pytest.mark.parametrize("name", ["length", "Lengths", "lenghts", "sequence_lengths"])
    def test_lengths_that_are_misspelt(self, name: str) -> None:
        (found,) = problems([INPUT], [], {"input": DATA, name: [4, 1, 2]})
        assert (
            found == f"field {name}: nothing reads it; did you mean 'lengths'? Else rename it or leave it out"
        )

    def test_but_not_of_fields_that_another_network_may_read_or_that_are_declared(self) -> None:
        bind([INPUT], [], {"input": DATA, "weights": DATA, "legal": DATA, "input2": DATA})
        bind([INPUT], [], {"input": DATA, "length": DATA, "lengths": [4, 1, 2]})
        network = fold([INPUT], [Target("h", "length")])
        bind_batch(network, {"input": DATA, "length": DATA}, targets=False)
        bind([Clamp("x", "length", mask="lenghts")], [], {"length": DATA, "lenghts": DATA > 0})

    def test_of_one_step_that_were_meant_for_all(self) -> None:
        agree = "they must be equal; if label holds at every step, leave the time axis out: shape (3,)"
        label = Target("h", "label", "cross_entropy")
        fields = {"input": DATA, "label": np.zeros((BATCH, 1), int)}
        assert problems([INPUT], [label], fields) == [
            f"field label: time axis of 1; field input has {STEPS}; {agree}"
        ]
        clamps = [Clamp("x", "one"), Clamp("h", "all")]
        (found,) = problems(clamps, [], {"one": DATA[:, :1], "all": numbers(BATCH, STEPS, 3)})
        assert found.endswith("if one holds at every step, leave the time axis out: shape (3, 2)")

    def test_all_at_once(self) -> None:
        clamps = [INPUT, Clamp("h", "start", at="start"), Clamp("p", "free", at=(1,))]
        targets = [Target("h", "label", "cross_entropy"), Target("p", "wanted", "binary_cross_entropy")]
        fields = {
            "input": DATA * np.nan,
            "start": numbers(BATCH, 4),
            "label": np.full((BATCH, STEPS), 3),
            "wanted": np.full((BATCH, 1), 2.0),
            "lengths": [9, 9, 9],
        }
        found = problems(clamps, targets, fields)
        assert [line.split(":")[0] for line in found] == [
            "field start",
            "field free",
            "field lengths",
            "field input",
            "field label",
            "field wanted",
        ]
