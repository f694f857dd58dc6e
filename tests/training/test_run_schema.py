"""What `data:` and `training:` may say, as messages about a spec file."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphbptt

NETWORK = """network: {nodes: {x: {}, y: {}}, edges: [{from: x, to: y}]}
inputs: {x: {field: x}}
targets: {y: {field: y}}
"""


def load(folder: Path, text: str) -> graphbptt.Spec:
    file = folder / "a.yaml"
    file.write_text(NETWORK + text)
    return graphbptt.load(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: {steps: 3}", "data: no source is given; write one of task, csv, npz"),
        ("data: {csv: a, npz: b, fields: {x: c}}", "data: csv and npz are given; write one of"),
        ("data: {npz: a, examples: 3}", "with npz there can be no 'examples' (of task); leave it out"),
        ("data: {task: binary_addition, steps: 3}", "a task needs 'examples' and 'steps'"),
        ("data: {task: binary_adition, steps: 3, examples: 2}", "did you mean 'binary_addition'"),
        ("data: {task: {binary_addition: {dealy: 1}}, steps: 3, examples: 2}", "did you mean 'delay'"),
        ("data: {csv: a}", "a csv needs 'fields'"),
        ("data: {csv: a, fields: {x: c}, split: {train: 0.5}}", "write split: {mask: name, ...}"),
        ("data: {npz: a, split: {train: 0.5, mask: m}}", "'split.mask' is for the parts of one sequence"),
        ("data: {npz: a, split: {train: 1.5}}", "data.split.train: 1.5 is no part; write a fraction"),
        ("data: {npz: a, split: {train: [3, 1]}}", "data.split.train: [3, 1] is no part"),
        ("data: {npz: a, split: {train: true}}", "data.split.train: True is no part"),
        ("data: {npz: a, split: {by: year}}", "no part is declared"),
        ("data: {npz: a, split: {train: 0.5, test: [1, 2]}}", "fractions and ranges are mixed"),
        ("data: {npz: a, split: {train: 0.5, test: 0.6}}", "the fractions sum to 1.1"),
        ("data: {npz: a, split: {validation: 0.5, test: 0.5}}", "leave some for training"),
        ("data: {npz: a, split: {by: year, test: 0.5}}", "'by' orders ranges"),
        ("data: {npz: a, split: {test: [1, 2]}}", "no range for train"),
        ("data: {npz: a, split: {train: [1, 5], test: [5, 9]}}", "train and test overlap at 5"),
        ("data: {csv: a, fields: {x: c}, variance_over: 0.5}", "data.variance_over: 0.5 is no range"),
        ("data: {csv: a, fields: {x: []}}", "data.fields.x"),
        ("data: {csv: a, fields: {x: c}, baseline: {autoregression: {lags: 0}}}", "lags: 0 is out of range"),
        (
            "training: {optimizer: {adam: {}, sgd: {}}}",
            "2 names where one is chosen; write one of sgd, rmsprop",
        ),
        ("training: {optimizer: {sgd: {momentum: 1.0}}}", "momentum: 1.0 is out of range"),
        ("training: {clip: .inf}", "training.clip"),
        ("training: {batch: true}", "training.batch"),
    ],
)
def test_a_section_that_cannot_be(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(graphbptt.SpecError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)
    assert f"{tmp_path / 'a.yaml'}:4:" in str(caught.value)


def test_a_choice_may_be_a_bare_name(tmp_path: Path) -> None:
    bare = load(tmp_path, "training: {optimizer: rmsprop}").training.optimizer
    assert bare.name == "rmsprop"
    assert bare.options == load(tmp_path, "training: {optimizer: {rmsprop: {}}}").training.optimizer.options
    assert load(tmp_path, "training: {optimizer: {rmsprop: }}").training.optimizer == bare


def test_a_spec_without_data_says_so_when_asked(tmp_path: Path) -> None:
    with pytest.raises(graphbptt.SpecError, match="the spec declares none; write data:"):
        load(tmp_path, "seed: 1").data()
