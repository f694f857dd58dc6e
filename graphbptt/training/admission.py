"""Whether a network can be trained as asked: settings and data fit it, and something is wanted of it."""

from __future__ import annotations

from graphbptt.declaration.run_schema import TrainingDeclaration
from graphbptt.errors import DataError, Problem, SpecError
from graphbptt.model import Model
from graphbptt.passes.find_lookahead import find_lookahead
from graphbptt.training.dataset import Parts
from graphbptt.training.windows import check_batches

__all__ = ["check_parts", "check_purpose"]

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


def check_purpose(model: Model, settings: TrainingDeclaration, parts: Parts) -> None:
    """Whether what the settings ask for can be done with this network and these data.

    Raises
    ------
    SpecError
        With every problem: nothing is wanted, nothing can be trained, or a setting does not fit.
    """
    problems: list[Problem] = []
    if not model.network.targets:
        problems.append(Problem("targets", "nothing is wanted of the network", "declare a target"))
    if model.plan.layout.free == 0:
        problems.append(_find_nothing_to_train(model))
    problems += model.find_unmet()
    if settings.patience is not None and parts.validation is None:
        problems.append(
            Problem("training.patience", "there is no validation part", "declare one, or leave it out")
        )
    if settings.truncate is not None:
        problems += find_lookahead(model.network, "cannot be trained by truncated backpropagation")
    elif settings.stateful:
        problems += find_lookahead(model.network, "cannot carry its states to the next batch")
    if settings.stateful:
        problems += check_batches(len(parts.train), settings.batch)
    if problems:
        raise SpecError(problems)


def _find_nothing_to_train(model: Model) -> Problem:
    """Why no parameter is free."""
    if not model.network.connections:
        return Problem("network.edges", "there is no edge, so nothing can be trained", "declare an edge")
    if not model.network.groups:
        what = "no edge has a weight to train, and no node a bias, so nothing can be trained"
        return Problem("network", what, "leave out 'weight: wire' at an edge, or give a node a bias")
    return Problem("network", "nothing in it can be trained", "leave out 'trainable: false'")
