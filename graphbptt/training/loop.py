"""The training loop: shuffled minibatches, an optimizer on the flat vector, and which parameters it leaves."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from graphbptt.declaration.choices import OptimizerChoice
from graphbptt.declaration.mistakes import describe_mistakes, format_path
from graphbptt.declaration.run_schema import TrainingDeclaration, Truncation
from graphbptt.errors import DivergenceError, Problem, SpecError
from graphbptt.model import Model, check_model
from graphbptt.training.admission import check_parts, check_purpose
from graphbptt.training.course import Course, Epoch
from graphbptt.training.dataset import Dataset, Parts, as_dataset

__all__ = ["Epoch", "History", "train"]

Array = npt.NDArray[Any]
DEFAULTS = TrainingDeclaration()


@dataclass(frozen=True, slots=True)
class History:
    """All epochs, and why training ended: ``epochs`` were done, or ``patience`` was at its end."""

    epochs: tuple[Epoch, ...]
    ended: str

    @property
    def kept(self) -> Epoch:
        """The epoch whose parameters the model holds: the best by validation, or the last without validation."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.best), self.epochs[-1])


def train(
    model: Model,
    data: Dataset | Parts | Mapping[str, npt.ArrayLike],
    *,
    optimizer: OptimizerChoice | Mapping[str, Any] | str = DEFAULTS.optimizer,
    epochs: int = DEFAULTS.epochs,
    batch: int = DEFAULTS.batch,
    clip: float | None = DEFAULTS.clip,
    patience: int | None = DEFAULTS.patience,
    truncate: Truncation | Mapping[str, int] | None = DEFAULTS.truncate,
    stateful: bool = DEFAULTS.stateful,
    validation: Dataset | Mapping[str, npt.ArrayLike] | None = None,
    seed: int | None = None,
    report: Callable[[Epoch], None] | None = None,
) -> History:
    """Train a model in place, from the parameters that it holds.

    Afterwards it holds those of the epoch with the lowest validation loss, measured on these very parameters. Without
    validation there is nothing to choose by, and it holds those after the last update. When interrupted it holds what
    it would if the last whole epoch had been the last one; where training diverges without validation, those with
    the lowest training loss that was measured. The optimizer starts anew with every call.

    Parameters
    ----------
    model : Model
    data : Dataset, Parts or mapping
        The examples; a mapping holds arrays by field name, (examples, time, units) or (examples, units).
    optimizer : str or mapping
        A name, or ``{name: {option: value}}``, as in a spec.
    epochs : int
        The number of passes over the data.
    batch : int
        The number of examples in an update.
    clip : float, optional
        The largest norm a gradient may have; a longer one is shrunk to it.
    patience : int, optional
        Training ends after so many epochs without a better validation loss.
    truncate : mapping, optional
        ``{"steps": k, "stride": s}``, truncated backpropagation: an update after every s steps (k where it is absent),
        whose derivatives pass back over at most k steps. Each has the mean loss of its own s steps, so that the
        optimizer's rate means the same however short they are; without a target, or a penalty on states, in
        them there is none. Penalties on parameters are whole in every update. Learned
        initial states have a derivative where an update's k steps reach them. Validation is not truncated.
    stateful : bool
        Each example goes on from the one at its place in the batch before, which may be of any length: the examples
        are consecutive pieces of `batch` long sequences, and are not shuffled. Clamps at the start, and initial
        states, are those of the first batch of an epoch; listed steps count within each piece. In validation every
        example starts anew.
    validation : Dataset or mapping, optional
        Examples by whose loss the parameters are chosen.
    seed : int, optional
        The order of the examples and the noise of states, drawn anew for every batch; the model's own seed by default.
    report : callable, optional
        Called with each `Epoch` as it ends.

    Returns
    -------
    History

    Raises
    ------
    SpecError
        An argument cannot be what it is.
    DataError
        The data do not fit the network, or no target has a step in them.
    DivergenceError
        A loss or a derivative is not finite; names the node and the step where it began.
    """
    settings = _check_settings(
        {
            "optimizer": optimizer,
            "epochs": epochs,
            "batch": batch,
            "clip": clip,
            "patience": patience,
            "truncate": truncate,
            "stateful": stateful,
        }
    )
    check_model(model)
    parts = _as_parts(data, validation)
    check_purpose(model, settings, parts)
    check_parts(model, parts)
    run = Course(model, parts, settings, _make_generator(model.seed if seed is None else seed))
    done: list[Epoch] = []
    try:
        for number in range(1, settings.epochs + 1):
            done.append(run.run_epoch(number))
            if report is not None:
                report(done[-1])
            if settings.patience is not None and number - run.best_epoch >= settings.patience:
                return History(tuple(done), "patience")
    except DivergenceError:
        run.kept[...] = run.best
        raise
    finally:
        run.free[...] = run.kept
    return History(tuple(done), "epochs")


def _as_parts(data: Any, validation: Any) -> Parts:
    chosen = None if validation is None else as_dataset("validation", validation)
    if isinstance(data, Parts):
        return data if chosen is None else replace(data, validation=chosen)
    return Parts(as_dataset("data", data), chosen)


def _make_generator(seed: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(operator.index(seed))
    except (TypeError, ValueError):
        raise SpecError(Problem("seed", f"{seed!r} is no seed", "write a whole number from 0 on")) from None


def _check_settings(settings: Mapping[str, Any]) -> TrainingDeclaration:
    try:
        return TrainingDeclaration.model_validate(settings)
    except ValidationError as error:
        mistakes = describe_mistakes(error, TrainingDeclaration, settings)
        raise SpecError(
            Problem(format_path(m.path) or "training", m.what, m.instead) for m in mistakes
        ) from None
