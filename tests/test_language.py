"""docs/language.md says what the schema says, and all of its examples can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import yaml
from test_documents import ROOT, load_script

from graphbptt.declaration.choices import OptimizerChoice
from graphbptt.declaration.read import read_declaration
from graphbptt.declaration.task_choices import TaskChoice
from graphbptt.ir.functions import ACTIVATIONS
from graphbptt.training.optimizers import OPTIMIZERS
from graphbptt.training.tasks.table import TASKS

LANGUAGE: Any = load_script(ROOT / "docs/write_language.py")
EXAMPLES = LANGUAGE.read_examples()
KEYS = [
    (LANGUAGE.title(model), LANGUAGE.key_of(name, field), field)
    for model in LANGUAGE.find_sections()
    for name, field in model.model_fields.items()
]


@pytest.mark.parametrize(("section", "key", "field"), KEYS)
def test_every_key_has_a_meaning_and_an_example_that_can_be_read(
    section: str, key: str, field: Any, tmp_path: Path
) -> None:
    assert (field.description or "").endswith("."), f"{section}.{key} needs a Field(description=...)"
    assert key in EXAMPLES[section]["keys"], (
        f"{section}.{key} needs an example in docs/language_examples.yaml"
    )
    path = tmp_path / "spec.yaml"
    nx.write_graphml(nx.DiGraph([("x", "h"), ("h", "y")]), tmp_path / "worm.graphml")
    (tmp_path / "worm.tsv").write_text("pre\tpost\tsynapses\nx\th\t3\nh\ty\t2\n")
    (tmp_path / "neurons.csv").write_text("neuron,class\nx,A\nh,B\ny,B\n")
    path.write_text(yaml.safe_dump(LANGUAGE.build_example(EXAMPLES, section, key)))
    read_declaration(path)


def test_every_example_is_of_a_key() -> None:
    known = {(section, key) for section, key, _ in KEYS}
    shown = {(section, key) for section, entry in EXAMPLES.items() for key in entry.get("keys", ())}
    assert shown == known


def test_choices_are_the_entries_of_their_tables() -> None:
    assert set(OptimizerChoice.model_fields) == set(OPTIMIZERS)
    assert set(TaskChoice.model_fields) == set(TASKS)


def test_every_activation_is_listed() -> None:
    _, _, listed = LANGUAGE.write_language().partition("## Functions of activations")
    listed, _, _ = listed.partition("\n## ")
    assert [name for name in ACTIVATIONS if f"`{name}`" not in listed and f"`{name}(" not in listed] == []


def test_the_page_is_up_to_date() -> None:
    assert LANGUAGE.write_language() == LANGUAGE.PAGE.read_text(encoding="utf-8")
