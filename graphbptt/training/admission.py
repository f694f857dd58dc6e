"""Whether data can be trained on: every part fits the network, and something is wanted of it."""

from __future__ import annotations

from graphbptt.errors import DataError, Problem
from graphbptt.model import Model
from graphbptt.training.dataset import Parts

__all__ = ["check_parts"]

CHOOSING = ("train", "validation")
"""The parts whose loss decides something; without targets it would be zero whatever the network does."""


def check_parts(model: Model, parts: Parts) -> None:
    """Bind every part once, whole, so that a problem is found before training and named by its example.

    Raises
    ------
    DataError
        With every problem of every part: a field does not fit the network, or no target has a step.
    """
    problems: list[Problem] = []
    for name, data in parts.items():
        try:
            bound = model.bind(data.fields, data.steps)
        except DataError as error:
            problems += [Problem(f"{name}: {p.path}", p.what, p.instead, p.place) for p in error.problems]
            continue
        if name in CHOOSING and bound.targets and not any(target.count for target in bound.targets):
            problems.append(
                Problem(
                    f"data.{name}",
                    "no target has a step in it, so there is no loss",
                    "check the steps ('at') and the masks of the targets",
                )
            )
    if problems:
        raise DataError(problems)
