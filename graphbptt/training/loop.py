"""The training loop: shuffled minibatches, an optimizer on the flat vector, and which parameters it leaves."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from graphbptt.backend import Outcome
from graphbptt.declaration.choices import OptimizerChoice
from graphbptt.declaration.mistakes import describe_mistakes, format_path
from graphbptt.declaration.run_schema import TrainingDeclaration, Truncation
from graphbptt.errors import DivergenceError, Problem, SpecError
from graphbptt.ir.batch import Batch, CarriedState
from graphbptt.ir.noise import Noise
from graphbptt.model import Model, check_model
from graphbptt.training.admission import check_parts, check_purpose
from graphbptt.training.dataset import Dataset, Parts, as_dataset
from graphbptt.training.divergence import explain_divergence
from graphbptt.training.evaluation import LossTally, bind_chunks, measure_loss
from graphbptt.training.optimizers import Optimizer, State, clip_norm, make_optimizer, make_rule
from graphbptt.training.run_updates import run_updates
from graphbptt.training.windows import cut_windows

__all__ = ["Epoch", "History", "train"]

Array = npt.NDArray[Any]
DEFAULTS = TrainingDeclaration()


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training part.

    `train_loss` is the mean over the epoch's updates, each measured before it; `validation_loss` is
    measured at the end. `best` says that the latter is the lowest so far; without validation no epoch is.
    """

    number: int
    train_loss: float
    validation_loss: float | None
    best: bool


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
    run = _Run(model, parts, settings, _make_generator(model.seed if seed is None else seed))
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


class _Run:
    """What lasts from epoch to epoch: the optimizer's state, and parameters of earlier epochs.

    `best` are those with the lowest loss of an epoch, `candidate` those by which this epoch's loss was measured, and
    `kept` those that the model is left with. `updated` says whether there was an update.
    """

    def __init__(
        self, model: Model, parts: Parts, settings: TrainingDeclaration, generator: np.random.Generator
    ) -> None:
        self.model, self.parts, self.settings, self.generator = model, parts, settings, generator
        # Noise has a generator of its own, so that it leaves the order of the examples alone.
        (self.noise,) = generator.spawn(1)
        self.free: Array = model.vector[: model.plan.layout.free]
        # Truncated and stateful training goes on from states, for which the host asks after every window.
        alone = settings.truncate is None and not settings.stateful
        self.updater = model.bind_update(make_rule(settings.optimizer), settings.clip) if alone else None
        self.rule: Optimizer = make_optimizer(settings.optimizer)
        self.state: State = self.rule.init(self.free)
        self.keeper = model.keep()
        self.gradient = np.zeros_like(self.free)
        self.candidate, self.best, self.kept = self.free.copy(), self.free.copy(), self.free.copy()
        self.best_loss, self.best_epoch = math.inf, 0
        self.updated = False
        fits = settings.batch >= len(parts.train)
        self.whole = model.bind(parts.train.fields, parts.train.steps) if fits else None

    def run_epoch(self, number: int) -> Epoch:
        train = self._train_here if self.updater is None else self._train_there
        train_loss = sum(train(number)) / len(self.parts.train)
        self._check_kept()
        validation_loss = None
        if self.parts.validation is not None:
            self.candidate[...] = self.free
            validation_loss = measure_loss(self.model, self.parts.validation)
            if not math.isfinite(validation_loss):
                chunks = bind_chunks(self.model, self.parts.validation)
                when = f"training diverged in epoch {number} in validation"
                raise explain_divergence(self.model, chunks, when, updated=self.updated)
        loss = train_loss if validation_loss is None else validation_loss
        better = loss < self.best_loss
        if better:
            self.best[...], self.best_loss, self.best_epoch = self.candidate, loss, number
        validated = validation_loss is not None
        self.kept[...] = self.best if validated else self.free
        return Epoch(number, train_loss, validation_loss, validated and better)

    def _train_here(self, number: int) -> Iterator[float]:
        """The loss of each batch times its examples."""
        for bound in self._draw_batches():
            yield self._train_on(bound, number) * bound.size

    def _train_there(self, number: int) -> Iterator[float]:
        """The same where the plan is run; the model's own parameters are those that the epoch began with."""
        assert self.updater is not None
        self.updater.load(self.model.vector)
        wanted = (bound for bound in self._draw_batches() if any(term.count for term in bound.terms))
        for bound, outcome in run_updates(self.updater, wanted):
            yield self._judge(bound, outcome, number) * bound.size
        self.updater.fetch(self.free, self.candidate, self.gradient)

    def _draw_batches(self) -> Iterator[Batch]:
        for bound in self._bind_batches():
            yield replace(bound, noise=Noise(int(self.noise.integers(2**63))))

    def _bind_batches(self) -> Iterator[Batch]:
        # A batch that holds everything is the same in every epoch.
        if self.whole is not None:
            yield self.whole
            return
        order = None if self.settings.stateful else self.generator
        carried: CarriedState | None = None
        for data in self.parts.train.batches(self.settings.batch, order):
            bound = self.model.bind(data.fields, data.steps)
            yield replace(bound, carried=carried)
            if self.settings.stateful:
                carried = self.model.carry(bound.steps, offset=0)

    def _train_on(self, bound: Batch, number: int) -> float:
        """Update after every window; the loss of all of them together, each before its update."""
        tally = LossTally(self.model)
        for window in cut_windows(self.model, bound, self.settings.truncate):
            if any(term.count for term in window.terms):
                self._update(window, number, tally)
            else:
                self.model.losses(window)  # for the states that the next one goes on from
        return tally.total() if tally.pairs else 0.0

    def _update(self, bound: Batch, number: int, tally: LossTally) -> None:
        # The loss below is that of these parameters, not of those after the update.
        self.candidate[...] = self.free
        # Overflow shows in the loss or the gradient, and is named there.
        with np.errstate(over="ignore", invalid="ignore"):
            losses = self.model.losses_and_gradient(bound, self.gradient)
            loss = self.model.total_loss(losses)
            norm = clip_norm(self.gradient, self.settings.clip or math.inf)
        self._check_finite(loss + norm, bound, number)
        self.updated = True
        tally.add(bound, losses)
        try:
            with np.errstate(over="raise"):
                self.rule.update(self.gradient, self.state, self.free)
                self.free += self.gradient
                if self.keeper is not None:
                    self.keeper.apply()
        except FloatingPointError:
            # A finite derivative whose square, or whose step, is not.
            self._check_finite(math.inf, bound, number)

    def _judge(self, bound: Batch, outcome: Outcome, number: int) -> float:
        """The loss before an update that was made where the plan is run."""
        assert self.updater is not None
        loss = self.model.network.total_loss(outcome.losses) + outcome.penalty
        if not outcome.finite:  # a finite derivative whose square, or whose step, is not
            self.updated = True
            self.updater.fetch(self.candidate, self.free, self.gradient)
            self._check_finite(math.inf, bound, number)
        if not math.isfinite(loss + outcome.norm):
            self.updater.fetch(self.free, self.candidate, self.gradient)
            self._check_finite(math.inf, bound, number)
        self.updated = True
        tally = LossTally(self.model)
        tally.add(bound, outcome.losses, outcome.penalty)
        return tally.total()

    def _check_kept(self) -> None:
        """Whether constraints and signs hold: Newton's method for both together has no bound on its steps."""
        if self.keeper is None or not np.isfinite(self.free).all():
            return  # what is not finite diverges, and is named there
        if unmet := self.model.find_unmet():
            remedy = "no nearest values were found after an update; lower the rate, or leave out a sign"
            raise SpecError(replace(problem, instead=remedy) for problem in unmet)

    def _check_finite(self, number: float, bound: Batch, epoch: int) -> None:
        if not math.isfinite(number):
            when = (
                f"training diverged in epoch {epoch}"
                if self.updated
                else f"in epoch {epoch}, before any update"
            )
            raise explain_divergence(self.model, [bound], when, self.gradient, updated=self.updated)


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
