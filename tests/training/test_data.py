"""Data as a spec declares them: tasks, csv and npz, shifted, normalised and divided."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphbptt.declaration.run_schema import DataDeclaration
from graphbptt.declaration.task_choices import TaskChoice
from graphbptt.errors import DataError
from graphbptt.training.dataset import Dataset, Parts
from graphbptt.training.sources import load_parts
from graphbptt.training.tasks.table import TASKS

SERIES = "year,level,kind\n" + "".join(f"{1900 + i},{i * i},{i % 3}\n" for i in range(10))


def load(folder: Path, labels: frozenset[str] = frozenset(), **data: Any) -> Parts:
    return load_parts(DataDeclaration.model_validate(data), folder, labels)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    (tmp_path / "series.csv").write_text(SERIES)
    return tmp_path


def test_batches_hold_every_example_once_in_an_order_of_the_seed() -> None:
    data = Dataset({"x": np.arange(7)[:, None], "y": np.arange(7) * 10})
    batches = list(data.batches(3, np.random.default_rng(0)))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    seen = np.concatenate([batch.fields["x"][:, 0] for batch in batches])
    assert sorted(seen) == list(range(7))
    assert list(seen) != list(range(7))
    assert all((batch.fields["y"] == 10 * batch.fields["x"][:, 0]).all() for batch in batches)
    again = list(data.batches(3, np.random.default_rng(0)))
    assert all((a.fields["x"] == b.fields["x"]).all() for a, b in zip(batches, again, strict=True))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "there are no fields"),
        ({"x": np.zeros((2, 1)), "y": np.zeros((3, 1))}, "x has 2, y has 3"),
        ({"x": np.zeros((0, 1))}, "there are no examples"),
        ({"x": 3.0}, "field x: a single number"),
    ],
)
def test_a_dataset_that_cannot_be(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Dataset(fields)


def test_the_schema_and_the_table_name_the_same_tasks() -> None:
    assert set(TASKS) == set(TaskChoice.model_fields)


def test_the_parts_of_a_task_are_drawn_anew(tmp_path: Path) -> None:
    task = {"task": "binary_addition", "steps": 6, "examples": 50}
    parts = load(tmp_path, **task, validation={}, test={"steps": 18, "examples": 20})
    assert parts.train.fields["bits"].shape == (50, 6, 2)
    assert parts.test is not None
    assert parts.test.fields["sum"].shape == (20, 18, 1)
    assert parts.validation is not None
    assert (parts.validation.fields["bits"] != parts.train.fields["bits"]).any()
    again = load(tmp_path, **task)
    assert (again.train.fields["bits"] == parts.train.fields["bits"]).all()
    other = load(tmp_path, **task, seed=1)
    assert (other.train.fields["bits"] != parts.train.fields["bits"]).any()


def test_the_parts_of_pattern_completion_share_their_patterns(tmp_path: Path) -> None:
    options = {"patterns": 3, "units": 20, "known": 0.25}
    task = {"task": {"pattern_completion": options}, "steps": 9, "examples": 40}
    parts = load(tmp_path, **task, test={"steps": 30})
    assert parts.test is not None
    assert parts.test.steps == 30
    stored = {tuple(row) for row in parts.train.fields["pattern"]}
    assert len(stored) == 3
    assert {tuple(row) for row in parts.test.fields["pattern"]} == stored
    known, cue = parts.train.fields["known"], parts.train.fields["cue"]
    assert (known.sum(axis=1) == 5).all()
    assert (cue == known * parts.train.fields["pattern"]).all()


def test_a_csv_is_one_sequence(series: Path) -> None:
    parts = load(series, csv="series.csv", fields={"x": "level", "both": ["level", "kind"]})
    np.testing.assert_array_equal(parts.train.fields["x"], (np.arange(10.0) ** 2)[None, :, None])
    assert parts.train.fields["both"].shape == (1, 10, 2)
    assert parts.test is None


def test_leads_shift_and_drop_the_rows_without_a_value(series: Path) -> None:
    fields = {"now": "level", "next": {"from": "level", "lead": 1}, "before": {"from": "level", "lead": -2}}
    found = load(series, csv="series.csv", fields=fields).train.fields
    np.testing.assert_array_equal(found["now"][0, :, 0], np.arange(2, 9) ** 2)
    np.testing.assert_array_equal(found["next"][0, :, 0], np.arange(3, 10) ** 2)
    np.testing.assert_array_equal(found["before"][0, :, 0], np.arange(0, 7) ** 2)


def test_the_parts_of_a_sequence_start_warm_and_end_at_their_last_step(series: Path) -> None:
    split = {"by": "year", "mask": "scored", "train": [1901, 1904], "test": [1906, 1908]}
    parts = load(series, csv="series.csv", fields={"x": "level"}, split=split)
    np.testing.assert_array_equal(parts.train.fields["scored"], [[0, 1, 1, 1, 1]])
    assert parts.test is not None
    np.testing.assert_array_equal(parts.test.fields["scored"], [[0, 0, 0, 0, 0, 0, 1, 1, 1]])
    assert parts.test.fields["x"].shape == (1, 9, 1)


def test_fractions_cut_a_sequence_in_order(series: Path) -> None:
    split = {"mask": "m", "validation": 0.2, "test": 0.3}
    parts = load(series, csv="series.csv", fields={"x": "level"}, split=split)
    counted = {name: np.flatnonzero(part.fields["m"][0]).tolist() for name, part in parts.items()}
    assert counted == {"train": [0, 1, 2, 3, 4], "validation": [5, 6], "test": [7, 8, 9]}


def test_normalising_looks_at_the_training_rows_alone(series: Path) -> None:
    split = {"by": "year", "mask": "m", "train": [1900, 1904], "test": [1905, 1909]}
    fields = {"x": {"from": "level", "normalise": True}}
    parts = load(series, csv="series.csv", fields=fields, split=split, variance_over=[1900, 1907])
    x = parts.test.fields["x"][0, :, 0] if parts.test is not None else np.zeros(0)
    assert x[:5].mean() == pytest.approx(0)
    assert x[:5].std() == pytest.approx(1)
    raw = np.arange(10.0) ** 2
    np.testing.assert_allclose(x, (raw - raw[:5].mean()) / raw[:5].std())
    assert parts.variance["x"] == pytest.approx(raw[:8].var() / raw[:5].var())


def test_labels_of_a_csv_are_whole_numbers_without_a_unit_axis(series: Path) -> None:
    parts = load(series, frozenset({"k"}), csv="series.csv", fields={"x": "level", "k": "kind"})
    assert parts.train.fields["k"].dtype == np.int64
    assert parts.train.fields["k"].shape == (1, 10)


@pytest.mark.parametrize(
    ("text", "data", "said"),
    [
        (SERIES, {"fields": {"x": "levle"}}, "no column 'levle'; did you mean 'level'"),
        (SERIES, {"fields": {"x": "level"}, "split": {"mask": "m", "by": "yaer", "train": [1, 2]}}, "'yaer'"),
        (
            SERIES.replace(",16,", ",n/a,"),
            {"fields": {"x": "level"}},
            ":6:2: csv: 'n/a' is not a finite number",
        ),
        (SERIES.replace(",16,", ",,"), {"fields": {"x": "level"}}, ":6:2: csv: the cell is empty"),
        (SERIES.replace(",16,", ",inf,"), {"fields": {"x": "level"}}, "'inf' is not a finite number"),
        ("", {"fields": {"x": "level"}}, "there are no rows"),
        (SERIES, {"fields": {"x": "level"}, "split": {"mask": "m", "train": [50, 60]}}, "data.split.train"),
        (SERIES, {"fields": {"x": "level"}, "variance_over": [50, 60]}, "data.variance_over"),
        (SERIES, {"fields": {"x": {"from": "level", "lead": 10}}}, "shorten the leads"),
        (SERIES, {"fields": {"x": ["level", "year"]}}, "labels are one whole number"),
    ],
)
def test_a_csv_that_cannot_be_used(tmp_path: Path, text: str, data: dict[str, Any], said: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        load(tmp_path, frozenset({"x"}) if "labels" in said else frozenset(), csv="a.csv", **data)
    assert said in str(caught.value)


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        load(tmp_path, csv="a.csv", fields={"x": "y"})
    with pytest.raises(DataError, match="there is no such file"):
        load(tmp_path, npz="a.npz")


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    x = np.random.default_rng(0).normal(3, 2, (20, 4, 2))
    np.savez(tmp_path / "a.npz", x=x, label=np.arange(20) % 3, when=np.arange(20), lengths=np.full(20, 2))
    return tmp_path


def test_an_npz_holds_examples_by_field(examples: Path) -> None:
    parts = load(examples, npz="a.npz", split={"test": 0.25, "validation": 0.25})
    assert [len(part) for _, part in parts.items()] == [10, 5, 5]
    when = np.concatenate([part.fields["when"] for _, part in parts.items()])
    assert sorted(when) == list(range(20))
    later = load(examples, npz="a.npz", split={"by": "when", "train": [0, 9], "test": [10, 19]})
    assert later.test is not None
    assert "when" not in later.test.fields
    np.testing.assert_array_equal(later.test.fields["label"], np.arange(10, 20) % 3)


def test_padding_takes_no_part_in_normalising(examples: Path) -> None:
    fields = {"x": {"from": "x", "normalise": True}, "lengths": "lengths"}
    parts = load(examples, npz="a.npz", fields=fields, split={"train": [1, 12], "test": [13, 20]})
    real = parts.train.fields["x"][:, :2]
    np.testing.assert_allclose(real.mean(axis=(0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(real.std(axis=(0, 1)), 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"fields": {"x": "X"}}, "no array 'X'; known: label, lengths, when, x"),
        ({"fields": {"x": ["x", "label"]}}, "several arrays for one field"),
        ({"fields": {"x": {"from": "x", "lead": 1}}}, "data.fields.x.lead"),
        ({"split": {"by": "x", "train": [0, 1]}}, "array 'x' has 3 axes"),
        ({"split": {"train": [1, 15], "validation": [16, 50]}}, "data.split.validation: 16 to 50, of 20 in"),
        ({"split": {"train": [0, 15], "test": [16, 20]}}, "data.split.train: 0 to 15, of 20 in the data"),
        ({"split": {"by": "y", "train": [0, 1]}}, "no array 'y'"),
    ],
)
def test_an_npz_that_cannot_be_used(examples: Path, data: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        load(examples, npz="a.npz", **data)
    assert said in str(caught.value)


def test_an_array_that_is_not_named_is_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3, 1)), other=np.array([None, "b"]))
    assert set(load(tmp_path, npz="a.npz", fields={"x": "x"}).train.fields) == {"x"}
    with pytest.raises(DataError, match=r"data.fields.y: .*a.npz has no array 'y'; known: other, x"):
        load(tmp_path, npz="a.npz", fields={"x": "x", "y": "y"})


@pytest.mark.parametrize("array", [np.array(["a", "b"]), np.zeros(3)])
def test_an_array_that_is_no_field_can_be_left_out(tmp_path: Path, array: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3, 1)), y=np.ones((2, 1)), other=array)
    with pytest.raises(DataError) as caught:
        load(tmp_path, npz="a.npz")
    assert "name the arrays that are read: data.fields: {x: x, y: y}" in str(caught.value)
    assert set(load(tmp_path, npz="a.npz", fields={"x": "x", "y": "y"}).train.fields) == {"x", "y"}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"not an archive"])
def test_a_broken_npz(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz: is no \.npz archive; write it with numpy\.savez"):
        load(tmp_path, npz="a.npz")


def test_an_npz_with_a_damaged_array(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.arange(1000.0))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[60:90] = b"?" * 30
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz: cannot be read: .*; is it a file of the declared kind"):
        load(tmp_path, npz="a.npz")


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("sheet.xml", "<sheet/>")
    with pytest.raises(DataError, match=r"a\.npz: 'sheet\.xml' in it is no array of numbers"):
        load(tmp_path, npz="a.npz")


@pytest.mark.parametrize("said", [{}, {"fields": {"x": {"from": "x", "normalise": True}}}])
@pytest.mark.parametrize("x", [np.full((3, 2, 1), np.inf), np.zeros((3, 0, 1)), np.zeros((3, 2, 0))])
def test_values_that_are_refused_later_raise_no_warning(
    tmp_path: Path, x: np.ndarray, said: dict[str, Any]
) -> None:
    np.savez(tmp_path / "a.npz", x=x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(tmp_path, npz="a.npz", **said).train.fields["x"].shape == x.shape


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    with pytest.raises(
        DataError, match=r"a\.npz: 'x' in it is no array of numbers; write it with numpy\.savez$"
    ):
        load(tmp_path, npz="a.npz")


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        (np.full((20, 1), 2), r"shape \(20, 1\); store one whole number per example"),
        (np.full(20, 2.0), "is of float64"),
        (np.arange(20), "from 0 to 19; a length is at least 1 and at most the number of steps, 4"),
    ],
)
def test_lengths_that_cannot_be(tmp_path: Path, lengths: Any, said: str) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 4, 2)), lengths=lengths)
    fields = {"x": {"from": "x", "normalise": True}, "lengths": "lengths"}
    with pytest.raises(DataError, match=said):
        load(tmp_path, npz="a.npz", fields=fields)


def test_what_orders_a_split_has_an_entry_for_every_example(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 4, 2)), when=np.arange(19))
    with pytest.raises(DataError, match="array 'when' has 19 entries"):
        load(tmp_path, npz="a.npz", split={"by": "when", "train": [0, 9]})
