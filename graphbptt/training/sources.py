"""The `data:` section -> parts, from whichever source it names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphbptt.declaration.run_schema import DataDeclaration, Fresh
from graphbptt.training.dataset import Dataset, Parts
from graphbptt.training.examples import read_examples
from graphbptt.training.series import read_series
from graphbptt.training.tasks.table import TASKS

__all__ = ["load_parts"]


def load_parts(declaration: DataDeclaration, folder: Path, labels: frozenset[str] = frozenset()) -> Parts:
    """Read or make the data that a spec declares.

    Parameters
    ----------
    declaration : DataDeclaration
    folder : Path
        Where the spec is; its paths start there.
    labels : frozenset of str
        The fields that hold integer labels: a csv's column of them gets no unit axis.

    Raises
    ------
    DataError
        A file, column or array is absent or cannot be used, or a part is empty.
    """
    if declaration.csv is not None:
        return read_series(declaration, folder / declaration.csv, labels)
    if declaration.npz is not None:
        return read_examples(declaration, folder / declaration.npz)
    return draw_task(declaration)


def draw_task(declaration: DataDeclaration) -> Parts:
    """Draw every declared part of a task anew; what the parts have in common is drawn alike for each."""
    choice = declaration.task
    assert choice is not None, "the schema lets exactly one source through"
    declared = {"train": Fresh(), "validation": declaration.validation, "test": declaration.test}
    parts: dict[str, Dataset] = {}
    for number, (name, part) in enumerate(declared.items(), start=1):
        if part is not None:
            steps, examples = part.steps or declaration.steps, part.examples or declaration.examples
            assert steps is not None, "the schema asks for it"
            assert examples is not None, "the schema asks for it"
            stored = np.random.default_rng(declaration.seed)
            fresh = np.random.default_rng([declaration.seed, number])
            parts[name] = Dataset(TASKS[choice.name](choice.options, steps, examples, stored, fresh), steps)
    return Parts.of(parts)
